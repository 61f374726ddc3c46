// SPDX-License-Identifier: Apache-2.0

// listen, connect, send, call and run: programs that talk through a port by hand.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fmt/core.h>
#include <poll.h>
#include <system_error>
#include <utility>

#include <portolan/port.hpp>

#include "conversation.hpp"
#include "exit_code.hpp"
#include "message_text.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace command {
namespace {

// The next client, or nothing after an interruption.
std::optional<portolan::ConnectEvent> next_client(portolan::Listener& listener,
                                                  const Interruption& interruption) {
  for (;;) {
    pollfd waits[] = {{listener.native_handle(), POLLIN, 0}, {interruption.descriptor(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0 && errno != EINTR)
      throw std::system_error(errno, std::generic_category(), "poll");
    if (waits[1].revents != 0) return std::nullopt;
    if (auto client = listener.try_accept()) return client;
  }
}

int say_ended(const std::string& address, const std::string& why) {
  fmt::print(stderr, "portolan: {}: the other side ended first ({})\n", address, why);
  return kNothing;
}

int say_late(const std::string& address, const char* what, std::chrono::milliseconds timeout,
             const char* advice) {
  fmt::print(stderr, "portolan: {}: {} within {} ms; {}, or give it longer with --timeout\n", address, what,
             timeout.count(), advice);
  return kNothing;
}

}  // namespace

int listen_at(const ListenAtOptions& options) {
  const Interruption interruption;
  portolan::Listener listener(options.address);
  if (options.verbose) fmt::print(stderr, "portolan: listening at {}\n", options.address);
  InputLines input;
  for (;;) {
    auto client = next_client(listener, interruption);
    if (!client) return kFound;
    portolan::MessagePort port = std::move(client->port());
    if (options.verbose)
      fmt::print(stderr, "portolan: pid {} of uid {} has connected\n", client->peer().pid,
                 client->peer().uid);
    std::string why;
    if (converse(port, input, interruption, {}, why) == Outcome::interrupted) return kFound;
    if (options.verbose) fmt::print(stderr, "portolan: it has ended ({})\n", why);
  }
}

int connect_to(const ConnectToOptions& options) {
  const Interruption interruption;
  portolan::MessagePort port = portolan::connect(options.address, options.timeout);
  InputLines input;
  std::string why;
  switch (converse(port, input, interruption, {.leave_when_all_read = true}, why)) {
    case Outcome::all_read:
      return kFound;
    case Outcome::ended_early:
      return say_ended(options.address, why);
    case Outcome::interrupted:
      break;
  }
  return kNothing;
}

int send_to(const SendToOptions& options) {
  portolan::MessagePort port = portolan::connect(options.address, options.timeout);
  const UnreadCount unread(port);
  const auto deadline = std::chrono::steady_clock::now() + options.timeout;
  for (const std::string& text : options.messages)
    if (const auto result = port.post_message_for(options.timeout, text);
        result != portolan::PostResult::posted)
      return say_ended(options.address, "before it was posted");
  if (options.wants_answer) {
    portolan::Received answer = port.receive_for(deadline - std::chrono::steady_clock::now());
    if (!answer) {
      if (answer.status() == portolan::ReceiveStatus::timed_out)
        return say_late(options.address, "no answer", options.timeout, "see whether it answers at all");
      return say_ended(options.address, "without an answer");
    }
    print(message_text(answer->format(), answer->bytes()) + "\n");
    return kFound;
  }
  while (unread.messages().value_or(0) != 0) {
    if (std::chrono::steady_clock::now() >= deadline)
      return say_late(options.address, "not read", options.timeout, "see whether it reads");
    // Sleeps for a moment, and notices the end.
    const auto received = port.receive_for(std::chrono::milliseconds(5));
    if (received.status() == portolan::ReceiveStatus::closed && unread.messages().value_or(1) != 0)
      return say_ended(options.address, "before it had read all");
  }
  return kFound;
}

int run_worker(const RunOptions& options) {
  const Interruption interruption;
  portolan::Worker worker(options.command.front(), {options.command.begin() + 1, options.command.end()});
  InputLines input;
  std::string why;
  const Outcome outcome =
      converse(worker.port(), input, interruption, {.leave_when_all_read = options.close_after_input}, why);
  if (outcome == Outcome::interrupted) worker.terminate();
  worker.port().close();
  const portolan::ExitStatus status = worker.wait();
  if (status.signal != 0) return 128 + status.signal;
  return status.exited ? status.code : kFailed;
}

}  // namespace command
