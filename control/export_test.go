package control

// Above is above, for tests from outside.
var Above = above
