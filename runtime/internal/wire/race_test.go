package wire

// raceEnabled says that the race detector is on.
var raceEnabled bool
