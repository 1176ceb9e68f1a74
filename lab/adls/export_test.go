package adls

import (
	"errors"
	"os"
	"path/filepath"
)

// Tear leaves half a record at the end of a server's log, as a kill in the middle of a write does.
func Tear(s *Server) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "data", logName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{0, 0, 0, 9, 0, 0, 0, 200, 1, 2, 3, 4, '{'})
	return errors.Join(err, f.Close())
}
