// SPDX-License-Identifier: Apache-2.0

#include "bad_input/refused_operations.hpp"

#ifdef PORTOLAN_CAN_REFUSE

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bad_input/refused_scene.hpp"

using namespace std::chrono_literals;

namespace portolan::testing {

namespace {

const std::string kSmall = "small", kInBlocks(3000, 'b'), kInAFile(100'000, 'f');

constexpr std::size_t kBundle = 130;

void make_channel(Attempt& attempt) {
  std::optional<MessageChannel> channel;
  attempt([&] { channel.emplace(); });
  REFUSED_HOLDS(converse(channel->port1, channel->port2));
}

void post(Attempt& attempt, const std::string& text) {
  MessageChannel channel = narrow();
  attempt([&] { channel.port1.post_message(text); });
  channel.port1.post_message("behind");
  REFUSED_HOLDS(says(channel.port2, text) && says(channel.port2, "behind"));
}
void post_first(Attempt& attempt) {
  post(attempt, kSmall);
}
void post_in_blocks(Attempt& attempt) {
  post(attempt, kInBlocks);
}
void post_in_a_file(Attempt& attempt) {
  post(attempt, kInAFile);
}

void post_ports(Attempt& attempt, std::size_t count, const std::string& text) {
  MessageChannel channel = narrow();
  Crowd crowd(count);
  channel.port1.post_message("in front");
  attempt([&] { channel.port1.post_message(text, {.transfer = TransferList(crowd.there)}); });
  for (MessagePort& port : crowd.there) REFUSED_HOLDS(!port.is_open());
  channel.port1.post_message("behind");
  REFUSED_HOLDS(says(channel.port2, "in front"));
  Received received = channel.port2.receive_for(kPatience);
  REFUSED_HOLDS(received && received->text() == text && crowd.all_converse(received->ports()));
  REFUSED_HOLDS(says(channel.port2, "behind"));
}
void post_a_port(Attempt& attempt) {
  post_ports(attempt, 1, kSmall);
}
void post_a_bundle(Attempt& attempt) {
  post_ports(attempt, kBundle, kInAFile);
}

void receive(Attempt& attempt, const std::string& text) {
  MessageChannel channel = narrow();
  channel.port1.post_message(text);
  channel.port1.post_message("behind");
  Received received;
  attempt([&] { received = channel.port2.try_receive(); });
  REFUSED_HOLDS(received && received->text() == text && !received->redelivered());
  REFUSED_HOLDS(says(channel.port2, "behind"));
}
void receive_first(Attempt& attempt) {
  receive(attempt, kSmall);
}
void receive_from_blocks(Attempt& attempt) {
  receive(attempt, kInBlocks);
}
void receive_from_a_file(Attempt& attempt) {
  receive(attempt, kInAFile);
}

void receive_ports(Attempt& attempt, std::size_t count, const std::string& text) {
  MessageChannel channel = narrow();
  Crowd crowd(count);
  SharedBuffer buffer(4096);
  buffer.bytes()[7] = std::byte{7};
  channel.port1.post_message(text, {.transfer = TransferList(crowd.there)});
  channel.port1.post_message("buffer", {.transfer = {buffer}});
  Received received;
  attempt([&] { received = channel.port2.try_receive(); });
  REFUSED_HOLDS(received && received->text() == text && !received->redelivered());
  REFUSED_HOLDS(crowd.all_converse(received->ports()));
  received = channel.port2.try_receive();
  REFUSED_HOLDS(received && received->text() == "buffer" && received->buffers().size() == 1);
  REFUSED_HOLDS(received->buffers()[0].bytes()[7] == std::byte{7});
}
void receive_a_port(Attempt& attempt) {
  receive_ports(attempt, 1, kSmall);
}
void receive_a_bundle(Attempt& attempt) {
  receive_ports(attempt, kBundle, kInAFile);
}
void receive_nothing(Attempt& attempt) {
  MessageChannel channel = narrow();
  attempt([&] { static_cast<void>(channel.port2.receive_for(30ms)); });
  REFUSED_HOLDS(converse(channel.port1, channel.port2));
}
void receive_what_comes_later(Attempt& attempt) {
  MessageChannel channel = narrow();
  const std::jthread poster([&] {
    std::this_thread::sleep_for(20ms);
    channel.port1.post_message(kSmall);
  });
  Received received;
  attempt([&] { received = channel.port2.receive(); });
  REFUSED_HOLDS(received && received->text() == kSmall);
}

void release_and_adopt(Attempt& attempt) {
  MessageChannel channel = narrow();
  channel.port1.post_message("waits");
  static_cast<void>(channel.port2.info());
  PortHandle handle;
  MessagePort adopted;
  attempt([&] {
    if (!handle) handle = std::move(channel.port2).release();
    adopted = MessagePort::adopt(std::move(handle));
  });
  REFUSED_HOLDS(says(adopted, "waits") && converse(channel.port1, adopted));
}

FileDescriptor dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  int status = 0;
  ::waitpid(child, &status, 0);
  return pidfd;
}

void keep_and_recover(Attempt& attempt) {
  MessageChannel channel = narrow();
  channel.port1.post_message("waits");
  const FileDescriptor dead = dead_process();
  PortHandle kept, released = std::move(channel.port2).release();
  MessagePort recovered;
  kept = PortHandle(released.segment().duplicate(), released.socket().duplicate(), released.generation(),
                    released.second_side());
  released = {};
  attempt([&] { recovered = MessagePort::recover(std::move(kept), dead); });
  REFUSED_HOLDS(says(recovered, "waits") && converse(channel.port1, recovered));
  PortHandle custody;
  custody = recovered.custody_handle();
  REFUSED_HOLDS(static_cast<bool>(custody));
}
void take_custody(Attempt& attempt) {
  MessageChannel channel = narrow();
  PortHandle custody;
  attempt([&] { custody = channel.port1.custody_handle(); });
  REFUSED_HOLDS(custody && converse(channel.port1, channel.port2));
}

void close_it(Attempt& attempt) {
  MessageChannel channel = narrow();
  Crowd crowd(1);
  channel.port2.post_message("unread", {.transfer = TransferList(crowd.there)});
  channel.port1.post_message("last words");
  attempt([&] { channel.port1.close(); });
  REFUSED_HOLDS(!channel.port1.is_open());
  REFUSED_HOLDS(says(channel.port2, "last words"));
  REFUSED_HOLDS(channel.port2.receive_for(kPatience).status() == ReceiveStatus::closed);
  REFUSED_HOLDS(crowd.here[0].receive_for(kPatience).status() == ReceiveStatus::closed);
}

void merge_two(Attempt& attempt) {
  MessageChannel one = narrow(), other = narrow();
  Crowd crowd(1);
  one.port1.post_message("from one");
  one.port1.post_message("port", {.transfer = TransferList(crowd.there)});
  other.port1.post_message("from the other");
  attempt([&] { merge(std::move(one.port2), std::move(other.port2)); });
  REFUSED_HOLDS(says(one.port1, "from the other") && says(other.port1, "from one"));
  Received received = other.port1.receive_for(kPatience);
  REFUSED_HOLDS(received && received->text() == "port" && crowd.all_converse(received->ports()));
  REFUSED_HOLDS(converse(one.port1, other.port1));
}

void reserve_and_commit(Attempt& attempt) {
  MessageChannel channel = narrow();
  Crowd crowd(1);
  std::optional<Space> space;
  bool committed = false;
  attempt([&] {
    if (!space) space.emplace(channel.port1.reserve(kInBlocks.size()));
    std::memcpy(space->bytes().data(), kInBlocks.data(), kInBlocks.size());
    space->commit(kInBlocks.size(), {.transfer = TransferList(crowd.there)});
    committed = true;
  });
  REFUSED_HOLDS(committed);
  Received received = channel.port2.receive_for(kPatience);
  REFUSED_HOLDS(received && received->text() == kInBlocks && crowd.all_converse(received->ports()));
}

// ---- buffers

void make_a_buffer(Attempt& attempt) {
  SharedBuffer buffer;
  attempt([&] {
    buffer = SharedBuffer(8192, {.label = "refused"});
    buffer.bytes()[5000] = std::byte{5};
  });
  REFUSED_HOLDS(buffer.size() == 8192 && buffer.bytes()[5000] == std::byte{5});
}
void seal_a_buffer(Attempt& attempt) {
  SharedBuffer buffer(8192), sealed;
  buffer.bytes()[5000] = std::byte{5};
  attempt([&] { sealed = std::move(buffer).read_only(); });
  REFUSED_HOLDS(!buffer && sealed.is_read_only());
  REFUSED_HOLDS(std::as_const(sealed).bytes()[5000] == std::byte{5});
  const BufferView view = sealed.view(4096, 1000);
  REFUSED_HOLDS(view.bytes()[904] == std::byte{5});
}
void send_a_buffer(Attempt& attempt) {
  MessageChannel channel = narrow();
  SharedBuffer buffer(8192);
  buffer.bytes()[5000] = std::byte{5};
  bool posted = false;
  Received received;
  attempt([&] {
    if (!posted) channel.port1.post_message(kSmall, {.transfer = {buffer}});
    posted = true;
    if (!received) received = channel.port2.try_receive();
    REFUSED_HOLDS(received && received->buffers().size() == 1);
    static_cast<void>(received->buffers()[0].bytes());
  });
  REFUSED_HOLDS(!buffer && received->buffers()[0].bytes()[5000] == std::byte{5});
}

constexpr RefusedOperation kOperations[] = {
    {"making a channel", make_channel},
    {"a first post", post_first},
    {"a post in blocks", post_in_blocks},
    {"a post in a file", post_in_a_file},
    {"a post with a port", post_a_port},
    {"a post with a bundle", post_a_bundle},
    {"a first receive", receive_first},
    {"a receive from blocks", receive_from_blocks},
    {"a receive from a file", receive_from_a_file},
    {"a receive with a port", receive_a_port},
    {"a receive with a bundle", receive_a_bundle},
    {"a receive of nothing", receive_nothing},
    {"a receive of what comes later", receive_what_comes_later},
    {"release and adoption", release_and_adopt},
    {"a recovery", keep_and_recover},
    {"taking custody", take_custody},
    {"a close", close_it},
    {"a merge", merge_two},
    {"a reservation", reserve_and_commit},
    {"making a buffer", make_a_buffer},
    {"sealing a buffer", seal_a_buffer},
    {"sending a buffer", send_a_buffer},
};

}  // namespace

std::vector<RefusedOperation> refused_operations() {
  std::vector<RefusedOperation> all(std::begin(kOperations), std::end(kOperations));
  const std::span<const RefusedOperation> more = operations_among_others();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace portolan::testing

#endif
