"""grpc-python asks route_guide_server for its health, and what it serves."""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from peer import PATIENCE, main, want, want_status

HEALTH = "/grpc.health.v1.Health/"
SERVING, SERVICE_UNKNOWN = 1, 3


def check(peer, service):
    stub = peer.stub("unary_unary", HEALTH + "Check", "grpc.health.v1.HealthCheckResponse")
    return stub(peer.message("grpc.health.v1.HealthCheckRequest", service=service), timeout=PATIENCE)


def test_check(peer):
    want([check(peer, service).status for service in ("", "routeguide.RouteGuide")], [SERVING, SERVING])


def test_check_not_found(peer):
    want_status(lambda: check(peer, "i-donut-exist"), grpc.StatusCode.NOT_FOUND, "")


def test_watch(peer):
    stub = peer.stub("unary_stream", HEALTH + "Watch", "grpc.health.v1.HealthCheckResponse")
    for service, status in (("", SERVING), ("i-donut-exist", SERVICE_UNKNOWN)):
        watch = stub(peer.message("grpc.health.v1.HealthCheckRequest", service=service), timeout=PATIENCE)
        want(next(watch).status, status)
        watch.cancel()


def reflect(peer, version, *requests):
    """The responses to requests, each of which is one field."""
    package = "grpc.reflection." + version + "."
    stub = peer.stub("stream_stream", "/" + package + "ServerReflection/ServerReflectionInfo", package + "ServerReflectionResponse")
    messages = [peer.message(package + "ServerReflectionRequest", **request) for request in requests]
    return list(stub(iter(messages), timeout=PATIENCE))


def test_list_services(peer):
    for version in ("v1", "v1alpha"):
        (response,) = reflect(peer, version, {"list_services": ""})
        names = [service.name for service in response.list_services_response.service]
        want(names, sorted(names))
        want("routeguide.RouteGuide" in names and "grpc.health.v1.Health" in names, True)


def test_errors(peer):
    for version in ("v1", "v1alpha"):
        requests = [{}, {"file_by_filename": "i-donut-exist"}, {"file_containing_symbol": "i.donut.exist"}]
        errors = [response.error_response for response in reflect(peer, version, *requests)]
        have = [(error.error_code, error.error_message) for error in errors]
        want(have, [(3, "invalid argument"), (5, "not found"), (5, "not found")])


def test_call_by_description(peer):
    """What reflection says is enough to call the service."""
    for version in ("v1", "v1alpha"):
        (response,) = reflect(peer, version, {"file_containing_symbol": "routeguide.RouteGuide"})
        pool = descriptor_pool.DescriptorPool()
        for octets in reversed(response.file_descriptor_response.file_descriptor_proto):
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(octets))
        method = pool.FindServiceByName("routeguide.RouteGuide").methods_by_name["GetFeature"]
        factory = message_factory.MessageFactory(pool)
        request = factory.GetPrototype(method.input_type)(latitude=488583701, longitude=22944813)
        call = peer.channel.unary_unary(
            "/routeguide.RouteGuide/GetFeature",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=factory.GetPrototype(method.output_type).FromString,
        )
        want(call(request, timeout=PATIENCE).name, "Eiffel Tower, Paris, France")


if __name__ == "__main__":
    main(globals())
