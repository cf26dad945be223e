module github.com/gogreeter/gogreeter/bench/codegen

go 1.26.0
