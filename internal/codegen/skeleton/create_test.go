package skeleton

import "testing"

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"Greeter": "greeter", "HTTPGreeter": "http_greeter", "GreeterV1": "greeter_v1", "RouteGuide": "route_guide",
		"A_B": "a_b", "Foo_Linux": "foo_linux_servicer", "MyTest": "my_test_servicer", "Foo_": "foo",
		"Foo_Linux_": "foo_linux_servicer", "FooRiscv": "foo_riscv_servicer", "Windows": "windows", "FooUnix": "foo_unix",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%q) = %q, want %q", name, got, want)
		}
	}
}
