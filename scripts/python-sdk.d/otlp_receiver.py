"""A collector that decodes what it is sent with opentelemetry-proto, and shows what it understood.

Prints the port that it listens at. POST /v1/traces and /v1/metrics take OTLP in protobuf; GET / gives all of it as JSON.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS = []
METRICS = {}


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    if kind == "kvlist_value":
        return attributes(any_value.kvlist_value.values)
    return getattr(any_value, kind) if kind else None


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def take_spans(body):
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                assert span.start_time_unix_nano <= span.end_time_unix_nano, span
                SPANS.append(
                    {
                        "service": service,
                        "scope": scope.scope.name,
                        "trace_id": span.trace_id.hex(),
                        "span_id": span.span_id.hex(),
                        "parent_id": span.parent_span_id.hex() or None,
                        "name": span.name,
                        "kind": span.kind,
                        "start": span.start_time_unix_nano,
                        "end": span.end_time_unix_nano,
                        "attributes": attributes(span.attributes),
                        "status": [span.status.code, span.status.message],
                    }
                )


def take_metrics(body):
    for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
        for scope in resource.scope_metrics:
            names = [metric.name for metric in scope.metrics]
            assert len(names) == len(set(names)), names
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                assert data.aggregation_temporality == 2, metric
                points = {}
                for point in data.data_points:
                    assert 0 < point.start_time_unix_nano <= point.time_unix_nano, point
                    if metric.HasField("histogram"):
                        assert sum(point.bucket_counts) == point.count, point
                        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1, point
                        count = point.count
                    else:
                        assert data.is_monotonic, metric
                        count = point.as_int
                    by = attributes(point.attributes)
                    points[" ".join(f"{name}={by[name]}" for name in sorted(by))] = count
                # Each report has all that was counted since the beginning.
                METRICS[metric.name] = {"unit": metric.unit, "points": points}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        take = {"/v1/traces": take_spans, "/v1/metrics": take_metrics}.get(self.path)
        try:
            assert self.headers["content-type"] == "application/x-protobuf"
            take(body)
            self.answer(200, b"")
        except (AssertionError, DecodeError, KeyError, TypeError) as error:
            self.answer(400, repr(error).encode())

    def do_GET(self):
        self.answer(200, json.dumps({"spans": SPANS, "metrics": METRICS}).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    print(server.server_address[1], flush=True)
    server.serve_forever()
