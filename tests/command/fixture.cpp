// SPDX-License-Identifier: Apache-2.0

// A program with channels in known states, for the tests of the portolan command: it says what it knows of
// them on stdout, as lines `label id posted received`, then `ready`, and lives until its stdin ends. As
// `echo` it is a worker that answers each message with itself, and ends with code 7 when its port is closed.
// With `flow` as a second word there is one more channel, which is busy; with `asks` one with requests and
// replies.
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

using namespace portolan;

namespace {

void tell(const MessagePort& port) {
  const ChannelInfo info = port.info();
  std::cout << info.label << ' ' << info.id << ' ' << info.messages_posted << ' ' << info.bytes_posted
            << '\n';
}

int echo() {
  MessagePort parent = parent_port();
  while (Received received = parent.receive()) parent.post_message("echo: " + std::string(received->text()));
  return 7;
}

std::string label_of(const std::string& mark, const char* name) {
  return std::string(name) + "-" + mark;
}

// A channel that is busy until the process ends.
void keep_flowing(const std::string& label) {
  MessageChannel flow({.label = label});
  for (;;) {
    for (int i = 0; i < 10; ++i) flow.port1.post_message("flows");
    for (int i = 0; i < 10; ++i) static_cast<void>(flow.port2.receive());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// A text, a number and one with a port are answered in kind, and the fourth is refused.
void ask(MessageChannel& asks, std::vector<Reply>& replies) {
  asks.port1.post_message("no request");
  replies.push_back(asks.port1.request("how many"));
  for (int i = 0; i < 3; ++i) replies.push_back(asks.port1.request(i));
  static_cast<void>(asks.port2.receive());
  asks.port2.receive()->reply("seven");
  asks.port2.receive()->reply(7);
  MessageChannel along;
  asks.port2.receive()->reply("and a port", {.transfer = {along.port2}});
  asks.port2.receive()->refuse("not that");
}

int keep_channels(const std::string& mark, std::string_view more) {
  const bool flows = more == "flow";
  if (flows) std::thread(keep_flowing, label_of(mark, "flow")).detach();
  MessageChannel busy({.limit_bytes = 1 << 20, .label = label_of(mark, "busy")});
  for (int i = 0; i < 5; ++i) busy.port1.post_message("message " + std::to_string(i));
  static_cast<void>(busy.port2.receive());
  busy.port2.post_message(42);
  busy.port2.post_message(2.5);
  busy.port2.post_message(std::vector<std::byte>{std::byte{0}, std::byte{255}});
  busy.port2.post_message(Value::map({{"scene", "harbour"}, {"lines", Value::array(10, -20)}}));
  busy.port2.post_message("two\nlines \033[2J");
  MessageChannel moved({.label = label_of(mark, "moved")});
  int sockets[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0) return 1;
  send_port(sockets[0], std::move(moved.port2));
  moved.port1.post_message("waits");
  std::optional<MessageChannel> asks;
  std::vector<Reply> replies;
  if (more == "asks") {
    asks.emplace(ChannelOptions{.label = label_of(mark, "asks")});
    ask(*asks, replies);
    tell(asks->port1);
  }
  tell(busy.port1);
  tell(moved.port1);
  std::cout << "ready" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
  }
  if (flows) ::_exit(0);  // a thread is still at it
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  return what == "echo" ? echo() : keep_channels(std::string(what), argc > 2 ? argv[2] : "");
}
