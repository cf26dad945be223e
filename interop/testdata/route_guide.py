"""grpc-python calls routeguide.RouteGuide of route_guide_server."""

import grpc
from peer import PATIENCE, main, want, want_status

SERVICE = "/routeguide.RouteGuide/"
EIFFEL_TOWER = (488583701, 22944813)
NOTRE_DAME = (488529682, 23499021)


def point(peer, latitude, longitude):
    return peer.message("routeguide.Point", latitude=latitude, longitude=longitude)


def test_unary_unary(peer):
    get_feature = peer.stub("unary_unary", SERVICE + "GetFeature", "routeguide.Feature")
    want(get_feature(point(peer, *EIFFEL_TOWER), timeout=PATIENCE).name, "Eiffel Tower, Paris, France")
    nothing = get_feature(point(peer, -1, -1), timeout=PATIENCE)
    want((nothing.name, nothing.location.latitude), ("", -1))


def test_status_has_details(peer):
    get_feature = peer.stub("unary_unary", SERVICE + "GetFeature", "routeguide.Feature")
    nowhere = lambda: get_feature(point(peer, 900000001, 0), timeout=PATIENCE)
    error = want_status(nowhere, grpc.StatusCode.INVALID_ARGUMENT, "no such point on earth")
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    want(b"type.googleapis.com/google.rpc.BadRequest" in details and b"latitude" in details, True)


def test_unary_stream_with_metadata(peer):
    list_features = peer.stub("unary_stream", SERVICE + "ListFeatures", "routeguide.Feature")
    paris = peer.message("routeguide.Rectangle", lo=point(peer, 480000000, 20000000), hi=point(peer, 490000000, 30000000))
    call = list_features(paris, timeout=PATIENCE)
    want(("features-known", "100") in call.initial_metadata(), True)
    names = [feature.name for feature in call]
    want(names[:2], ["Eiffel Tower, Paris, France", "Notre-Dame de Paris, Paris, France"])
    want(("features-found", str(len(names))) in call.trailing_metadata(), True)


def test_stream_unary(peer):
    record_route = peer.stub("stream_unary", SERVICE + "RecordRoute", "routeguide.RouteSummary")
    route = [EIFFEL_TOWER, NOTRE_DAME, (0, 0)]
    summary = record_route((point(peer, *place) for place in route), timeout=PATIENCE)
    want((summary.point_count, summary.feature_count), (3, 2))
    want(summary.distance > 5000000, True)


def test_stream_stream(peer):
    route_chat = peer.stub("stream_stream", SERVICE + "RouteChat", "routeguide.RouteNote")
    left = [(EIFFEL_TOWER, "one"), (NOTRE_DAME, "elsewhere"), (EIFFEL_TOWER, "two"), (EIFFEL_TOWER, "three")]
    notes = (
        peer.message("routeguide.RouteNote", location=point(peer, *place), message=message) for place, message in left
    )
    want([note.message for note in route_chat(notes, timeout=PATIENCE)], ["one", "one", "two"])


if __name__ == "__main__":
    main(globals())
