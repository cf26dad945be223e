// Serves helloworld.Greeter with gRPC C++: the same messages and the same work as the other servers. Flag -api chooses
// between its callback API and its older one of completion queues, in which only SayHello is served.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "helloworld.grpc.pb.h"

using grpc::Status;
using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;

namespace {

// Greet answers one request.
void Greet(const HelloRequest& request, HelloReply* reply) {
  const std::string& name = request.name();
  if (name == "slow") {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (name.size() > 1024 && name.compare(0, 5, "echo ") != 0) {
    reply->set_message("Hello, " + std::to_string(name.size()) + " octets!");
    return;
  }
  reply->set_message("Hello, " + name + "!");
}

// Replies writes the same reply as often as the request says.
class Replies : public grpc::ServerWriteReactor<HelloReply> {
 public:
  explicit Replies(const HelloRequest& request) {
    int size = 0;
    if (std::sscanf(request.name().c_str(), "%d,%d", &left_, &size) != 2) {
      Finish(Status(grpc::StatusCode::INVALID_ARGUMENT, "want <number>,<size>"));
      return;
    }
    reply_.set_message(std::string(size, 'x'));
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      Next();
    } else {
      Finish(Status(grpc::StatusCode::UNKNOWN, "the client has gone"));
    }
  }
  void OnDone() override { delete this; }

 private:
  void Next() {
    if (left_-- > 0) {
      StartWrite(&reply_);
    } else {
      Finish(Status::OK);
    }
  }
  int left_ = 0;
  HelloReply reply_;
};

// Collection counts the names that it reads.
class Collection : public grpc::ServerReadReactor<HelloRequest> {
 public:
  explicit Collection(HelloReply* reply) : reply_(reply) { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      names_++;
      octets_ += request_.name().size();
      StartRead(&request_);
      return;
    }
    reply_->set_message("Hello, " + std::to_string(names_) + " names of " + std::to_string(octets_) + " octets!");
    Finish(Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  HelloReply* reply_;
  HelloRequest request_;
  size_t names_ = 0, octets_ = 0;
};

// Conversation answers each request of a stream.
class Conversation : public grpc::ServerBidiReactor<HelloRequest, HelloReply> {
 public:
  Conversation() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(Status::OK);
      return;
    }
    Greet(request_, &reply_);
    StartWrite(&reply_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      Finish(Status(grpc::StatusCode::UNKNOWN, "the client has gone"));
    }
  }
  void OnDone() override { delete this; }

 private:
  HelloRequest request_;
  HelloReply reply_;
};

class CallbackService : public Greeter::CallbackService {
  grpc::ServerUnaryReactor* SayHello(grpc::CallbackServerContext* context, const HelloRequest* request,
                                     HelloReply* reply) override {
    Greet(*request, reply);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<HelloReply>* SayHelloStreamReply(grpc::CallbackServerContext*,
                                                            const HelloRequest* request) override {
    return new Replies(*request);
  }
  grpc::ServerReadReactor<HelloRequest>* CollectHellos(grpc::CallbackServerContext*, HelloReply* reply) override {
    return new Collection(reply);
  }
  grpc::ServerBidiReactor<HelloRequest, HelloReply>* SayHelloBidiStream(grpc::CallbackServerContext*) override {
    return new Conversation();
  }
};

// Call is an RPC of the API with completion queues: it waits for a request, and then for the end of the answer.
class Call {
 public:
  Call(Greeter::AsyncService* service, grpc::ServerCompletionQueue* queue)
      : service_(service), queue_(queue), responder_(&context_) {
    service_->RequestSayHello(&context_, &request_, &responder_, queue_, queue_, this);
  }
  void Proceed(bool ok) {
    if (answered_ || !ok) {
      delete this;
      return;
    }
    new Call(service_, queue_);
    answered_ = true;
    HelloReply reply;
    Greet(request_, &reply);
    responder_.Finish(reply, Status::OK, this);
  }

 private:
  Greeter::AsyncService* service_;
  grpc::ServerCompletionQueue* queue_;
  grpc::ServerContext context_;
  HelloRequest request_;
  grpc::ServerAsyncResponseWriter<HelloReply> responder_;
  bool answered_ = false;
};

// waiting is how many RPCs of each queue can begin at once.
constexpr int waiting = 200;

void Poll(Greeter::AsyncService* service, grpc::ServerCompletionQueue* queue) {
  for (int i = 0; i < waiting; i++) {
    new Call(service, queue);
  }
  void* tag;
  bool ok;
  while (queue->Next(&tag, &ok)) {
    static_cast<Call*>(tag)->Proceed(ok);
  }
}

struct Flags {
  std::string address = "127.0.0.1:50051", pem, api = "callback";
  bool gzip = false;
};

bool Parse(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    if (name == "-gzip") {
      flags->gzip = true;
      continue;
    }
    if (++i == argc) {
      return false;
    }
    if (name == "-addr") {
      flags->address = argv[i];
    } else if (name == "-tls") {
      flags->pem = argv[i];
    } else if (name == "-api") {
      flags->api = argv[i];
    } else {
      return false;
    }
  }
  return flags->api == "callback" || flags->api == "async";
}

std::shared_ptr<grpc::ServerCredentials> Credentials(const std::string& file) {
  if (file.empty()) {
    return grpc::InsecureServerCredentials();
  }
  std::ifstream in(file);
  std::stringstream pem;
  pem << in.rdbuf();
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({pem.str(), pem.str()});
  return grpc::SslServerCredentials(options);
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (!Parse(argc, argv, &flags)) {
    std::cerr << "usage: server [-addr ADDRESS] [-tls FILE] [-gzip] [-api callback|async]\n";
    return 2;
  }
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(flags.address, Credentials(flags.pem), &port);
  if (flags.gzip) {
    builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_GZIP);
  }
  CallbackService callback;
  Greeter::AsyncService async;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  if (flags.api == "callback") {
    builder.RegisterService(&callback);
  } else {
    builder.RegisterService(&async);
    for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); i++) {
      queues.push_back(builder.AddCompletionQueue());
    }
  }
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::cerr << "the server does not start\n";
    return 1;
  }
  std::vector<std::thread> threads;
  for (auto& queue : queues) {
    threads.emplace_back(Poll, &async, queue.get());
  }
  std::cout << "listening on " << flags.address.substr(0, flags.address.rfind(':')) << ":" << port << std::endl;
  server->Wait();
}
