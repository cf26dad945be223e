//go:build lockorder

package locks

func holdsForTest() (string, []rank) { return holds() }
