package health

import "fmt"

// Format implements fmt.Formatter: it prints the address. Package fmt would read all fields, while others write them.
func (s *Servicer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "(%T)(%p)", s, s) }
