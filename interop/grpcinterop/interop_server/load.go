package main

import (
	"context"
	"sync"
	"time"

	orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	orcaservicepb "github.com/cncf/xds/go/xds/service/orca/v3"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/gogreeter/gogreeter/runtime"
)

// loadKey is the trailing metadata that says what an RPC has cost (gRFC A51).
const loadKey = "endpoint-load-metrics-bin"

// loadOf returns the metadata that reports a load, none if there is none to report.
func loadOf(report *pb.TestOrcaReport) (runtime.Metadata, error) {
	if report == nil {
		return nil, nil
	}
	octets, err := proto.Marshal(loadReport(report))
	return runtime.Pairs(loadKey, string(octets)), err
}

func loadReport(report *pb.TestOrcaReport) *orcapb.OrcaLoadReport {
	return &orcapb.OrcaLoadReport{
		CpuUtilization: report.GetCpuUtilization(), MemUtilization: report.GetMemoryUtilization(),
		RequestCost: report.GetRequestCost(), Utilization: report.GetUtilization(),
	}
}

// load is what the server reports out of band, xds.service.orca.v3.OpenRcaService. One RPC at a time may say what.
type load struct {
	once   sync.Once
	holder chan struct{}

	mu     sync.Mutex
	report *orcapb.OrcaLoadReport // guarded by mu; replaced, never modified
}

// acquire waits until no other RPC says what is reported.
func (l *load) acquire(ctx context.Context) (release func(), err error) {
	l.once.Do(func() { l.holder = make(chan struct{}, 1) })
	select {
	case l.holder <- struct{}{}:
		return func() { <-l.holder }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *load) set(report *pb.TestOrcaReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report = loadReport(report)
}

func (l *load) get() *orcapb.OrcaLoadReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.report == nil {
		return &orcapb.OrcaLoadReport{}
	}
	return l.report
}

// minReportInterval bounds how often a client can have a report.
const minReportInterval = 10 * time.Millisecond

// stream reports the load until the client goes.
func (l *load) stream(ctx context.Context, request *orcaservicepb.OrcaLoadReportRequest, reports runtime.ResponseStream[orcapb.OrcaLoadReport]) error {
	for {
		if err := reports.Send(l.get()); err != nil {
			return err
		}
		if err := pause(ctx, max(minReportInterval, request.GetReportInterval().AsDuration())); err != nil {
			return err
		}
	}
}
