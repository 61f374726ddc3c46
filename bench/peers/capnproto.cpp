// SPDX-License-Identifier: Apache-2.0

// Cap'n Proto RPC through a Unix socket: each side calls the other's sink, as streaming calls.

#include <capnp/rpc-twoparty.h>
#include <cstring>
#include <deque>
#include <kj/async-io.h>
#include <optional>
#include <sink.capnp.h>
#include <sys/socket.h>

#include "peers/all.hpp"
#include "peers/drive.hpp"
#include "peers/unix_socket.hpp"

namespace bench {

namespace {

// Calls stay unanswered, and so count for the flow control, until their message is taken.
class Arrivals final : public Sink::Server {
 public:
  kj::Promise<void> put(PutContext context) override {
    auto answered = kj::newPromiseAndFulfiller<void>();
    calls_.push_back({kj::mv(context), kj::mv(answered.fulfiller)});
    if (awaited_.get() != nullptr) awaited_->fulfill();
    return kj::mv(answered.promise);
  }

  void take(std::span<std::byte> out, kj::WaitScope& scope) {
    while (calls_.empty()) {
      auto arrival = kj::newPromiseAndFulfiller<void>();
      awaited_ = kj::mv(arrival.fulfiller);
      arrival.promise.wait(scope);
      awaited_ = nullptr;
    }
    Call& call = calls_.front();
    const capnp::Data::Reader data = call.context.getParams().getData();
    std::memcpy(out.data(), data.begin(), std::min(out.size(), data.size()));
    call.answered->fulfill();
    calls_.pop_front();
  }

 private:
  struct Call {
    PutContext context;
    kj::Own<kj::PromiseFulfiller<void>> answered;
  };
  std::deque<Call> calls_;
  kj::Own<kj::PromiseFulfiller<void>> awaited_;
};

class CapnProto {
 public:
  static constexpr std::string_view kName = "Cap'n Proto RPC";
  static constexpr std::size_t kMostBytes = 1 << 20;  // larger ones do not fit into a socket at once
  // Its event loop sleeps in the kernel, always.
  static bool can(const Setup& setup) {
    return setup.waiting == Waiting::blocking && setup.bytes <= kMostBytes;
  }

  struct Meeting {
    explicit Meeting(const Setup& setup) : pair(SOCK_STREAM, setup) {}
    SocketPair pair;
  };

  CapnProto(Meeting& meeting, const Setup&, Side side)
      : io_(kj::setupAsyncIo()), connection_(io_.lowLevelProvider->wrapSocketFd(meeting.pair.end(side))) {
    auto arrivals = kj::heap<Arrivals>();
    arrivals_ = arrivals.get();
    client_.emplace(
        *connection_, kj::mv(arrivals),
        side == Side::near ? capnp::rpc::twoparty::Side::SERVER : capnp::rpc::twoparty::Side::CLIENT);
    sink_.emplace(client_->bootstrap().castAs<Sink>());
  }
  CapnProto(const CapnProto&) = delete;
  CapnProto& operator=(const CapnProto&) = delete;
  void send(std::span<const std::byte> message) {
    auto request = sink_->putRequest(capnp::MessageSize{message.size() / sizeof(capnp::word) + 8, 0});
    std::memcpy(request.initData(static_cast<capnp::uint>(message.size())).begin(), message.data(),
                message.size());
    request.send().wait(io_.waitScope);
  }
  // A streaming call waits for room only, and is written when the event loop turns.
  void flush() { io_.waitScope.poll(); }
  void receive(std::span<std::byte> out) { arrivals_->take(out, io_.waitScope); }

 private:
  kj::AsyncIoContext io_;
  kj::Own<kj::AsyncIoStream> connection_;
  Arrivals* arrivals_ = nullptr;  // the client's
  std::optional<capnp::TwoPartyClient> client_;
  std::optional<Sink::Client> sink_;
};

}  // namespace

const Peer& capnproto_peer() {
  static const PeerOf<CapnProto> peer;
  return peer;
}

}  // namespace bench
