// Package yarn hands applications to a YARN cluster and follows them, by the REST APIs of the ResourceManager and the history server.
// It must not know what an application does; whoever submits one does.
//
// Submitting is harmless to repeat: an application is named by the id that NewApplication gave, and a ResourceManager takes an id that
// it has seen already as the same application. An application also carries tags, by which Find gives it to who has lost its id.
//
// A set of ResourceManagers is tried in turn until one answers that is not on standby. Each request is bounded by Options.CallTimeout
// and by its context, and no connection is kept. Only simple authentication is spoken: a ResourceManager that wants Kerberos is US660.
//
// Errors are *understudy.Error (US660 to US664); only the context's own errors are returned as they are.
package yarn
