// SPDX-License-Identifier: Apache-2.0

// No memory, at every single allocation: the n-th one of an operation is refused, for each n until there are
// no more. Nothing is lost, nobody is aborted, and the same call works once there is memory.
#include <array>
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <utility>
#include <vector>

#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

long allocations_left = -1;  // negative: no limit
bool refused = false;

bool may_allocate() {
  if (allocations_left < 0) return true;
  if (allocations_left-- > 0) return true;
  allocations_left = -1;  // one refusal: what cleans up behind it has memory
  refused = true;
  return false;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  void* const memory = may_allocate() ? std::malloc(bytes != 0 ? bytes : 1) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

// True if the call was done; false if it said that there is no memory.
bool done(const std::function<void()>& call) {
  try {
    call();
    return true;
  } catch (const std::bad_alloc&) {
  } catch (const PortError& error) {
    CHECK(error.code() == std::errc::not_enough_memory);
  }
  return false;
}

// One operation in a scene of its own for each n: `attempt` may fail for want of memory, and is then repeated
// with memory; `check` says what must be true of the scene at the end.
template <class Scene>
void with_each_allocation_refused(const std::function<void(Scene&)>& attempt,
                                  const std::function<void(Scene&)>& check) {
  const PortCensus census;
  long n = 0;
  for (bool last = false; !last; ++n) {
    INFO("allocation " << n << " is refused");
    Scene scene;
    refused = false;
    allocations_left = n;
    const bool was_done = done([&] { attempt(scene); });
    allocations_left = -1;
    last = !refused;
    if (!was_done) {
      CHECK(refused);
      attempt(scene);
    }
    check(scene);
  }
}

struct Pair {
  MessageChannel carrier{{.limit_bytes = 1 << 20}};
  MessageChannel data;
  FileDescriptor file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  Received received;

  // A message with a port, exactly once, and the port works.
  void check_brought(MessagePort& at, std::string_view text) {
    if (!received) received = at.try_receive();
    check_has(*received, text);
    CHECK(at.try_receive().status() == ReceiveStatus::empty);
  }
  void check_has(MessageEvent& event, std::string_view text) {
    REQUIRE(event.text() == text);
    REQUIRE(event.ports().size() == 1);
    REQUIRE(event.descriptors().size() == 1);
    CHECK(event.descriptors()[0]);
    event.ports()[0].post_message("it works");
    CHECK(data.port2.receive()->text() == "it works");
  }
};

struct Sent : Pair {
  Sent() { carrier.port1.post_message("port", {.transfer = {data.port1, file}}); }
};

struct Foreign {
  MessageChannel carrier{{.trust = Trust::foreign}};
  MessageChannel data{{.trust = Trust::foreign}};
  Received received;
  Foreign() { carrier.port1.post_message("foreign", {.transfer = {data.port1}}); }
};

struct Bundle {
  static constexpr std::size_t kPorts = 130;  // more than a packet takes
  MessageChannel carrier;
  std::vector<MessageChannel> channels{kPorts};
  std::vector<MessagePort> ports;
  Received received;
  Bundle() {
    for (MessageChannel& channel : channels) ports.push_back(std::move(channel.port1));
  }
  void post() { carrier.port1.post_message("bundle", {.transfer = TransferList(ports)}); }
  void check() {
    if (!received) received = carrier.port2.try_receive();
    REQUIRE(received->ports().size() == kPorts);
    for (MessagePort& port : received->ports()) CHECK(port.is_open());
    received->ports().back().post_message("it works");
    CHECK(channels.back().port2.receive()->text() == "it works");
  }
};

struct Large {
  MessageChannel carrier{{.limit_bytes = 64 << 10}};
  std::vector<std::byte> body = std::vector<std::byte>(100'000, std::byte{7});
  Received received;
  void check() {
    if (!received) received = carrier.port2.try_receive();
    REQUIRE(received->bytes().size() == body.size());
    CHECK(received->bytes()[99'999] == std::byte{7});
  }
};

struct Buffers {
  MessageChannel carrier;
  std::tuple<SharedBuffer, FileDescriptor, BufferView> value{
      SharedBuffer(100), ::open("/dev/null", O_RDONLY | O_CLOEXEC), SharedBuffer(10).read_only().view()};
  SharedBuffer listed{200};
  Received received;

  bool complete() const { return std::get<0>(value) && std::get<1>(value) && listed; }
  void post() { carrier.port1.post_message(std::move(value), {.transfer = {listed}}); }
  void check() {
    if (!received) received = carrier.port2.try_receive();
    REQUIRE(received->buffers().size() == 2);
    CHECK(received->buffers()[0].bytes().size() == 200);
    const auto read = received->data<decltype(value)>();
    CHECK(std::get<0>(read).bytes().size() == 100);
    CHECK(std::get<1>(read));
    CHECK(std::get<2>(read).bytes().size() == 10);
  }
};

}  // namespace

TEST_CASE("without memory, a channel is not made and leaves nothing behind") {
  struct Nothing {
    std::unique_ptr<MessageChannel> made;
  };
  with_each_allocation_refused<Nothing>(
      [](Nothing& scene) {
        scene.made = std::make_unique<MessageChannel>(
            ChannelOptions{.label = "a label that is longer than a string keeps inside"});
      },
      [](Nothing& scene) {
        scene.made->port1.post_message("there");
        CHECK(scene.made->port2.receive()->text() == "there");
      });
}

TEST_CASE("without memory, a post with a port and a descriptor leaves both with the caller") {
  with_each_allocation_refused<Pair>(
      [](Pair& scene) {
        CHECK(scene.file);
        CHECK(scene.data.port1.is_open());
        scene.carrier.port1.post_message("port", {.transfer = {scene.data.port1, scene.file}});
      },
      [](Pair& scene) {
        CHECK_FALSE(scene.file);
        scene.check_brought(scene.carrier.port2, "port");
      });
}

TEST_CASE("without memory, a post with buffers, a descriptor and a view leaves all of them with the caller") {
  with_each_allocation_refused<Buffers>(
      [](Buffers& scene) {
        CHECK(scene.complete());
        scene.post();
      },
      [](Buffers& scene) {
        CHECK_FALSE(scene.complete());
        scene.check();
      });
}

TEST_CASE("without memory, a message with buffers, a descriptor and a view stays until there is some") {
  struct Posted : Buffers {
    Posted() { post(); }
  };
  with_each_allocation_refused<Posted>([](Posted& scene) { scene.received = scene.carrier.port2.receive(); },
                                       [](Posted& scene) { scene.check(); });
}

TEST_CASE("without memory, a commit of a Space with a port may be tried again") {
  struct Reserved : Pair {
    Space space = carrier.port1.reserve(5);
    Reserved() { std::fill(space.bytes().begin(), space.bytes().end(), std::byte{'s'}); }
  };
  with_each_allocation_refused<Reserved>(
      [](Reserved& scene) {
        scene.space.commit(5, {.transfer = {scene.data.port1, scene.file}});
      },
      [](Reserved& scene) { scene.check_brought(scene.carrier.port2, "sssss"); });
}

TEST_CASE("without memory, a message that grew too large for the ring is not posted in part") {
  with_each_allocation_refused<Large>([](Large& scene) { scene.carrier.port1.post_message(scene.body); },
                                      [](Large& scene) { scene.check(); });
}

TEST_CASE("without memory, a bundle of ports leaves all of them with the caller") {
  with_each_allocation_refused<Bundle>([](Bundle& scene) { scene.post(); },
                                       [](Bundle& scene) { scene.check(); });
}

TEST_CASE("without memory, a message with a port and a descriptor stays until there is some") {
  with_each_allocation_refused<Sent>([](Sent& scene) { scene.received = scene.carrier.port2.receive(); },
                                     [](Sent& scene) { scene.check_brought(scene.carrier.port2, "port"); });
}

TEST_CASE("without memory, a bundle of ports stays until there is some") {
  struct SentBundle : Bundle {
    SentBundle() { post(); }
  };
  with_each_allocation_refused<SentBundle>(
      [](SentBundle& scene) { scene.received = scene.carrier.port2.receive(); },
      [](SentBundle& scene) { scene.check(); });
}

TEST_CASE("without memory, a message in a file of its own stays until there is some") {
  struct SentLarge : Large {
    SentLarge() { carrier.port1.post_message(body); }
  };
  with_each_allocation_refused<SentLarge>(
      [](SentLarge& scene) { scene.received = scene.carrier.port2.receive(); },
      [](SentLarge& scene) { scene.check(); });
}

TEST_CASE("without memory, a foreign message and its port stay until there is some") {
  with_each_allocation_refused<Foreign>(
      [](Foreign& scene) { scene.received = scene.carrier.port2.receive(); },
      [](Foreign& scene) {
        if (!scene.received) scene.received = scene.carrier.port2.receive();
        CHECK(scene.received->text() == "foreign");
        scene.received->ports()[0].post_message("it works");
        CHECK(scene.data.port2.receive()->text() == "it works");
      });
}

TEST_CASE("without memory, a batch brings what it can and leaves the rest") {
  struct Three : Pair {
    std::array<Received, 4> batch;
    std::size_t count = 0;
    std::vector<std::string> texts;
    Three() {
      carrier.port1.post_message("first");
      carrier.port1.post_message("second", {.transfer = {data.port1, file}});
      carrier.port1.post_message("third");
    }
    void take(std::size_t taken) {
      for (std::size_t i = 0; i < taken; ++i) texts.emplace_back(batch[i]->text());
    }
  };
  with_each_allocation_refused<Three>(
      [](Three& scene) { scene.count = scene.carrier.port2.receive_batch(scene.batch); },
      [](Three& scene) {
        scene.take(scene.count);
        scene.take(scene.carrier.port2.receive_batch(scene.batch));
        CHECK(scene.texts == std::vector<std::string>{"first", "second", "third"});
      });
}

TEST_CASE("without memory, a loop delivers a message with its port once, when there is some") {
  struct Bound : Sent {
    int delivered = 0;
    Bound() {
      carrier.port2.on_message([this](MessageEvent& event) {
        allocations_left = -1;
        ++delivered;
        check_has(event, "port");
      });
    }
  };
  with_each_allocation_refused<Bound>([](Bound&) { EventLoop::current().poll(); },
                                      [](Bound& scene) {
                                        while (scene.delivered == 0) EventLoop::current().run_one();
                                        EventLoop::current().poll();
                                        CHECK(scene.delivered == 1);
                                      });
}

TEST_CASE("without memory, a port that is served by a loop and cannot be sent goes on being served") {
  struct Served : Pair {
    int delivered = 0;
    Served() {
      data.port1.on_message([this](MessageEvent&) { ++delivered; });
    }
  };
  with_each_allocation_refused<Served>(
      [](Served& scene) {
        if (refused) {
          scene.data.port2.post_message("served");
          EventLoop::current().poll();
          CHECK(scene.delivered == 1);
        }
        scene.carrier.port1.post_message("port", {.transfer = {scene.data.port1, scene.file}});
      },
      [](Served& scene) { scene.check_brought(scene.carrier.port2, "port"); });
}

TEST_CASE("without memory, a port is released and adopted later") {
  struct Released : Pair {
    PortHandle handle;
    MessagePort port;
  };
  with_each_allocation_refused<Released>(
      [](Released& scene) {
        if (!scene.handle) scene.handle = std::move(scene.data.port1).release();
        scene.port = MessagePort::adopt(std::move(scene.handle));
      },
      [](Released& scene) {
        scene.port.post_message("adopted");
        CHECK(scene.data.port2.receive()->text() == "adopted");
      });
}

TEST_CASE("without memory, a port is sent over a user's socket, and received there, later") {
  struct OnASocket : Pair {
    std::array<FileDescriptor, 2> ends = socket_pair();
    bool sent = false;
    MessagePort port;
    static std::array<FileDescriptor, 2> socket_pair() {
      int numbers[2];
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, numbers) == 0);
      return {FileDescriptor(numbers[0]), FileDescriptor(numbers[1])};
    }
  };
  with_each_allocation_refused<OnASocket>(
      [](OnASocket& scene) {
        if (!scene.sent) {
          send_port(scene.ends[0].get(), std::move(scene.data.port1));
          scene.sent = true;
        }
        scene.port = receive_port(scene.ends[1].get());
      },
      [](OnASocket& scene) {
        scene.port.post_message("received");
        CHECK(scene.data.port2.receive()->text() == "received");
      });
}

TEST_CASE("without memory, a port closes as ever, and its peer is told") {
  struct Closing : Sent {
    Closing() { data.port2.post_message("unread"); }
  };
  with_each_allocation_refused<Closing>(
      [](Closing& scene) { scene.carrier.port2.close(); },
      [](Closing& scene) {
        CHECK(scene.carrier.port1.receive().status() == ReceiveStatus::closed);
        CHECK(scene.data.port2.receive().status() == ReceiveStatus::closed);
      });
}
