// SPDX-License-Identifier: Apache-2.0

// A port for one answer, which travels: whoever has it in the end answers, however many hands it went
// through.
#pragma once

#include <utility>

#include <portolan/message_channel.hpp>
#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// Answers once, and then is detached. Move-only; goes along in a value that is posted as an rvalue, as a
/// port does. Destroyed without an answer, also with its process, it closes, and whoever waits is told.
class ReplyPort {
 public:
  ReplyPort() noexcept = default;
  explicit ReplyPort(MessagePort port) noexcept : port_(std::move(port)) {}

  /// Posts `value` and closes. Throws as post_message does, and then may be asked again.
  template <class T>
  void reply(T&& value, PostOptions options = {}) {
    port_.post_message(std::forward<T>(value), std::move(options));
    port_ = {};
  }
  [[nodiscard]] bool is_open() const noexcept { return port_.is_open(); }

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& port_;
  }

 private:
  MessagePort port_;
};

/// A channel for one answer: `port` travels, `answer` is received on.
struct OneShot {
  ReplyPort port;
  MessagePort answer;
};

/// Costs a channel: where the answer comes from whom the question was posted to, MessagePort::request() costs
/// none. The channel is the smallest there is; a longer answer travels in a file of its own.
[[nodiscard]] inline OneShot one_shot() {
  MessageChannel channel({.limit_bytes = 64 << 10, .label = "one shot"});
  return {ReplyPort(std::move(channel.port2)), std::move(channel.port1)};
}

}  // namespace v1
}  // namespace portolan
