// SPDX-License-Identifier: Apache-2.0

// Buffers, views and descriptors that go with a message: in the list, inside values at any depth, and what
// stays with whom when a post fails.
#include <boost/serialization/split_member.hpp>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <portolan/portolan.hpp>

#include "bad_input/said.hpp"
#include "port/hand_over.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

SharedBuffer marked(unsigned mark, std::size_t size_bytes = 5000) {
  SharedBuffer buffer(size_bytes);
  buffer.bytes()[0] = static_cast<std::byte>(mark);
  return buffer;
}

unsigned mark_of(const SharedBuffer& buffer) {
  return buffer ? std::to_integer<unsigned>(buffer.bytes()[0]) : 0;
}

// A pipe's writing end tells by its end of file whether anybody has it still.
struct Pipe {
  FileDescriptor from, to;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    from.reset(ends[0]);
    to.reset(ends[1]);
  }
  bool ended() const {
    char byte;
    return ::read(from.get(), &byte, 1) == 0;
  }
};

// Everything that travels, nested.
struct Cargo {
  std::vector<SharedBuffer> buffers;
  std::map<std::string, SharedBuffer> named;
  std::optional<SharedBuffer> perhaps;
  std::variant<int, FileDescriptor> either;
  std::vector<FileDescriptor> descriptors;
  std::vector<BufferView> views;
  MessagePort port;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& buffers& named& perhaps& either& descriptors& views& port;
  }
};

struct Throwing {
  SharedBuffer buffer;
  FileDescriptor descriptor;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& buffer& descriptor;
    if constexpr (Archive::is_saving::value) throw std::runtime_error("half-way");
  }
};

// Writes objects of its own making, which are gone before the message is sent.
struct Temporary {
  std::shared_ptr<Pipe> pipe;
  std::shared_ptr<SharedBuffer> buffer;
  mutable FileDescriptor kept;
  BOOST_SERIALIZATION_SPLIT_MEMBER()
  template <class Archive>
  void save(Archive& archive, unsigned) const {
    FileDescriptor first = pipe->to.duplicate(), second = pipe->to.duplicate();
    const SharedBuffer shared = buffer->shared();
    archive << first << second << shared;
    kept = std::move(second);
  }
  template <class Archive>
  void load(Archive& archive, unsigned) {
    FileDescriptor first, second;
    SharedBuffer shared;
    archive >> first >> second >> shared;
    kept = std::move(first);
    buffer = std::make_shared<SharedBuffer>(std::move(shared));
  }
};

// Reads everything and then is not content.
struct Doubtful {
  enum class Doubt { none, at_the_end, of_the_kernel, takes_twice };
  inline static Doubt doubt = Doubt::none;
  SharedBuffer buffer;
  FileDescriptor descriptor;
  BufferView view;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& buffer& descriptor& view;
    if constexpr (Archive::is_loading::value) {
      SharedBuffer again;
      if (doubt == Doubt::takes_twice) archive.state().source.take_buffer(0, again);
      if (doubt == Doubt::at_the_end) throw std::runtime_error("not like this");
      if (doubt == Doubt::of_the_kernel) throw PortError(std::make_error_code(std::errc::io_error), "no");
    }
  }
};

}  // namespace

TEST_CASE("listed buffers are detached here and arrive in list order, beside ports and descriptors") {
  const PortCensus census;
  MessageChannel carrier, moved;
  SharedBuffer first = marked(1), second = marked(2);
  Pipe pipe;
  carrier.port1.post_message("all of these", {.transfer = {first, pipe.to, moved.port2, second}});
  CHECK_FALSE(first);
  CHECK_FALSE(second);
  CHECK_FALSE(pipe.to);
  Received received = carrier.port2.receive();
  REQUIRE(received->buffers().size() == 2);
  CHECK(mark_of(received->buffers()[0]) == 1);
  CHECK(mark_of(received->buffers()[1]) == 2);
  CHECK(received->ports().size() == 1);
  CHECK(received->descriptors().size() == 1);
  SharedBuffer taken = std::move(received->buffers()[0]);
  received = Received();
  taken.bytes()[0] = std::byte{3};
  CHECK(mark_of(taken) == 3);
  CHECK(pipe.ended());
}

TEST_CASE("a buffer of no bytes, a read-only one and one from a range of buffers arrive as what they are") {
  const PortCensus census;
  MessageChannel carrier;
  std::vector<SharedBuffer> several;
  several.emplace_back(0);
  several.push_back(marked(4).read_only());
  carrier.port1.post_message("several", {.transfer = several});
  Received received = carrier.port2.receive();
  REQUIRE(received->buffers().size() == 2);
  CHECK(received->buffers()[0]);
  CHECK(received->buffers()[0].size() == 0);
  CHECK(received->buffers()[1].is_read_only());
  CHECK(mark_of(received->buffers()[1]) == 4);
}

TEST_CASE("everything nested in a value that is posted as an rvalue goes along, and is detached") {
  const PortCensus census;
  MessageChannel carrier, moved;
  Pipe one, two;
  Cargo cargo;
  cargo.buffers.push_back(marked(1));
  cargo.buffers.push_back(marked(2));
  cargo.named.emplace("three", marked(3));
  cargo.perhaps = marked(4);
  cargo.either = std::move(one.to);
  cargo.descriptors.push_back(std::move(two.to));
  const SharedBuffer sealed = marked(5).read_only();
  cargo.views = {sealed.view(), sealed.view(0, 10), sealed.view()};
  cargo.port = std::move(moved.port2);
  carrier.port1.post_message(std::move(cargo));
  CHECK_FALSE(cargo.buffers[0]);
  CHECK_FALSE(cargo.named.at("three"));
  CHECK_FALSE(*cargo.perhaps);
  CHECK_FALSE(std::get<FileDescriptor>(cargo.either));
  CHECK_FALSE(cargo.descriptors[0]);
  CHECK(cargo.views[0].bytes()[0] == std::byte{5});
  CHECK(sealed);

  Received received = carrier.port2.receive();
  CHECK(received->buffers().size() == 4);
  CHECK(received->is<Cargo>());
  Cargo arrived = received->data<Cargo>();
  CHECK(mark_of(arrived.buffers[0]) == 1);
  CHECK(mark_of(arrived.buffers[1]) == 2);
  CHECK(mark_of(arrived.named.at("three")) == 3);
  CHECK(mark_of(*arrived.perhaps) == 4);
  REQUIRE(arrived.views.size() == 3);
  CHECK(arrived.views[0].bytes()[0] == std::byte{5});
  CHECK(arrived.views[1].size() == 10);
  CHECK_FALSE(received->buffers()[0]);
  CHECK_FALSE(received->descriptors()[0]);
  CHECK_FALSE(one.ended());
  arrived.either = 0;
  CHECK(one.ended());
  arrived.descriptors.clear();
  CHECK(two.ended());
  arrived.port.post_message("and the port works");
  CHECK(moved.port1.receive()->text() == "and the port works");
}

TEST_CASE("in a value posted as an lvalue they have to be listed, and then are one with what is listed") {
  const PortCensus census;
  MessageChannel carrier;
  Pipe pipe;
  std::pair<SharedBuffer, FileDescriptor> value(marked(1), std::move(pipe.to));
  check_names(
      said_by<DataCloneError>([&] { carrier.port1.post_message(value, {.transfer = {value.second}}); }),
      {"post_message(", "a buffer of 5000 bytes", "not in the transfer list", "rvalue"});
  check_names(
      said_by<DataCloneError>([&] { carrier.port1.post_message(value, {.transfer = {value.first}}); }),
      {"descriptor " + std::to_string(value.second.get()), "not in the transfer list"});
  CHECK(mark_of(value.first) == 1);
  SharedBuffer other = marked(9);
  carrier.port1.post_message(value, {.transfer = {other, value.second, value.first}});
  CHECK_FALSE(value.first);
  CHECK_FALSE(value.second);
  Received received = carrier.port2.receive();
  REQUIRE(received->buffers().size() == 2);
  CHECK(received->descriptors().size() == 1);
  auto arrived = received->data<std::pair<SharedBuffer, FileDescriptor>>();
  CHECK(mark_of(arrived.first) == 1);
  CHECK(arrived.second);
  CHECK(mark_of(received->buffers()[0]) == 9);
  CHECK_FALSE(received->buffers()[1]);
}

TEST_CASE("views and shared memory go along with an lvalue as well, and stay") {
  const PortCensus census;
  MessageChannel carrier;
  SharedBuffer shared = marked(1);
  std::vector<SharedBuffer> both;
  both.push_back(shared.shared());
  both.push_back(shared.shared());
  carrier.port1.post_message(std::as_const(both));
  carrier.port1.post_message(std::move(both));
  CHECK(both[0]);  // NOLINT(bugprone-use-after-move): that is what is asked
  check_names(said_by<DataCloneError>([&] { carrier.port1.post_message("no", {.transfer = {shared}}); }),
              {"shared memory, which is not transferred", "put it into the value"});
  for (int i = 0; i < 2; ++i) {
    Received received = carrier.port2.receive();
    CHECK(received->buffers().size() == 1);  // one memory
    auto arrived = received->data<std::vector<SharedBuffer>>();
    CHECK(arrived[0].is_shared());
    CHECK(arrived[1].bytes().data() == arrived[0].bytes().data());
    CHECK(received->is<std::vector<SharedBuffer>>());  // a message keeps what is shared
    arrived[0].bytes()[1] = static_cast<std::byte>(i + 10);
    CHECK(shared.bytes()[1] == static_cast<std::byte>(i + 10));
  }
}

TEST_CASE("what cannot go is refused by name, and everything stays with its caller") {
  const PortCensus census;
  MessageChannel carrier, good;
  SharedBuffer buffer = marked(1);
  const std::byte* const where = buffer.bytes().data();
  Pipe pipe;
  SharedBuffer detached;
  MessagePort no_port;
  const auto refuses = [&](TransferList list, std::initializer_list<std::string_view> parts) {
    check_names(
        said_by<DataCloneError>([&] { carrier.port1.post_message("no", {.transfer = std::move(list)}); }),
        parts);
    CHECK(mark_of(buffer) == 1);
    CHECK(buffer.bytes().data() == where);
    CHECK(pipe.to);
    CHECK(good.port1.is_open());
  };
  refuses({buffer, pipe.to, good.port1, buffer}, {"one object twice", "buffer (number 0", "list it once"});
  refuses({buffer, pipe.to, good.port1, detached}, {"buffer (number 3", "is detached", "received"});
  refuses({buffer, pipe.to, good.port1, no_port}, {"port (number 3", "detached or closed"});
  check_names(said_by<DataCloneError>([&] { carrier.port1.post_message(SharedBuffer()); }),
              {"a buffer inside the value is detached"});
  check_names(said_by<DataCloneError>([&] { carrier.port1.post_message(BufferView()); }),
              {"a view inside the value is one of nothing", "view()"});
  check_names(said_by<DataCloneError>([&] { carrier.port1.post_message(FileDescriptor()); }),
              {"a descriptor inside the value is empty"});
  carrier.port1.post_message("yes", {.transfer = {buffer, pipe.to, good.port1}});
  CHECK(carrier.port2.receive()->buffers().size() == 1);
}

TEST_CASE("a value that throws while it is written leaves its buffer and its descriptor where they were") {
  const PortCensus census;
  MessageChannel carrier;
  Pipe pipe;
  Throwing value{marked(7), std::move(pipe.to)};
  const int number = value.descriptor.get();
  const std::byte* const where = value.buffer.bytes().data();
  CHECK(said_by<std::runtime_error>([&] { carrier.port1.post_message(std::move(value)); }) == "half-way");
  CHECK(value.descriptor.get() == number);
  CHECK(value.buffer.bytes().data() == where);
  CHECK(mark_of(value.buffer) == 7);
  CHECK(carrier.port2.try_receive().status() == ReceiveStatus::empty);
}

TEST_CASE("a full channel leaves buffers and descriptors where they were, and a closed one takes them down") {
  const PortCensus census;
  MessageChannel carrier({.limit_bytes = 64 << 10});
  for (const std::size_t bytes : {1000u, 1u})
    while (carrier.port1.try_post_message(pattern(bytes, 0)) == PostResult::posted) {
    }
  Pipe listed, inside;
  std::pair<SharedBuffer, FileDescriptor> value(marked(7), std::move(inside.to));
  SharedBuffer buffer = marked(8);
  const int number = value.second.get();
  CHECK(carrier.port1.try_post_message(std::move(value), {.transfer = {buffer, listed.to}}) ==
        PostResult::full);
  CHECK_THROWS_AS(carrier.port1.post_message(std::move(value), {.transfer = {buffer, listed.to}}),
                  QueueFullError);
  CHECK(mark_of(value.first) == 7);
  CHECK(value.second.get() == number);
  CHECK(mark_of(buffer) == 8);
  CHECK(listed.to);
  carrier.port2.close();
  CHECK(carrier.port1.try_post_message(std::move(value), {.transfer = {buffer, listed.to}}) ==
        PostResult::closed);
  CHECK_FALSE(value.first);
  CHECK_FALSE(buffer);
  CHECK(listed.ended());
  CHECK(inside.ended());
}

TEST_CASE("objects that a save makes for itself are sent, though they are gone when the message is") {
  const PortCensus census;
  MessageChannel carrier;
  Temporary value{std::make_shared<Pipe>(), std::make_shared<SharedBuffer>(marked(6)), {}};
  carrier.port1.post_message(std::move(value));
  CHECK(value.kept);  // moved on while the message was written: the receiver has a duplicate
  Received received = carrier.port2.receive();
  auto arrived = received->data<Temporary>();
  CHECK(arrived.kept);
  CHECK(mark_of(*arrived.buffer) == 6);
  carrier.port2.close();
  CHECK(carrier.port1.try_post_message(std::move(value)) == PostResult::closed);
}

TEST_CASE("a message that cannot be read as the type asked for keeps its buffers and descriptors") {
  const PortCensus census;
  MessageChannel carrier;
  Pipe pipe;
  const SharedBuffer sealed = marked(2).read_only();
  carrier.port1.post_message(Doubtful{marked(1), std::move(pipe.to), sealed.view(0, 100)});
  Received received = carrier.port2.receive();
  CHECK_FALSE(received->is<std::pair<SharedBuffer, FileDescriptor>>());
  for (const auto doubt :
       {Doubtful::Doubt::at_the_end, Doubtful::Doubt::of_the_kernel, Doubtful::Doubt::takes_twice}) {
    Doubtful::doubt = doubt;
    CHECK_FALSE(received->is<Doubtful>());
    CHECK_THROWS_AS(static_cast<void>(received->data<Doubtful>()), DataCloneError);
    CHECK(mark_of(received->buffers()[0]) == 1);
    CHECK(received->descriptors()[0]);
    CHECK_FALSE(pipe.ended());
  }
  Doubtful::doubt = Doubtful::Doubt::none;
  {
    const FewDescriptors one(1);
    const FileDescriptor last(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(last);
    check_names(said_by<DataCloneError>([&] { static_cast<void>(received->data<Doubtful>()); }),
                {"FileDescriptor::duplicate", "RLIMIT_NOFILE"});
  }
  {
    const auto read = received->data<Doubtful>();
    CHECK(mark_of(read.buffer) == 1);
    CHECK(read.view.bytes()[0] == std::byte{2});
    CHECK_FALSE(pipe.ended());
  }
  CHECK(pipe.ended());
  check_names(said_by<DataCloneError>([&] { static_cast<void>(received->data<Doubtful>()); }),
              {"names a buffer that was taken before"});
}
