// Package storage keeps trees of files of one site copied to another by scheduled runs, and lets them change sides: HDFS clusters and
// directories of a machine. It must not know when a run is due or in what order stages come; control does. How files are copied is filecopy's.
package storage
