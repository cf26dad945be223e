// Package promised holds what the plugin has written once, and what has to compile and work with every later runtime of the
// same major version: a directory for each version of the generated code, written by the last plugin that knew no newer one,
// with package_suffix, of example/helloworld/helloworld.proto. Nothing here is generated again. tools/promised has the promised
// .proto file, and api/ the promised API.
package promised
