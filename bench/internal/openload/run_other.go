//go:build !linux

package openload

import "errors"

// Run fails: there are no timers here that are exact enough.
func (l Load) Run() (Result, error) { return Result{}, errors.Join(l.check(), errors.ErrUnsupported) }
