// SPDX-License-Identifier: Apache-2.0

// The two halves of a port, for two threads, and a sending half for many.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>

#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

class Receiver;

/// Posts, and belongs to one thread. The calls are MessagePort's. Move-only, not transferable; one that was
/// moved from may only be assigned to and destroyed. The port closes with the last of its halves, or by
/// close() of either.
class Sender {
 public:
  Sender() noexcept = default;
  Sender(Sender&&) noexcept = default;
  Sender& operator=(Sender&&) noexcept = default;

  template <class T>
  void post_message(T&& value) {
    port().post_message(std::forward<T>(value));
  }
  template <class T>
  void post_message(T&& value, PostOptions options) {
    port().post_message(std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value) {
    return port().try_post_message(std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value, PostOptions options) {
    return port().try_post_message(std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value) {
    return port().post_message_for(patience, std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value,
                                            PostOptions options) {
    return port().post_message_for(patience, std::forward<T>(value), std::move(options));
  }
  [[nodiscard]] Space reserve(std::size_t bytes) { return port().reserve(bytes); }
  [[nodiscard]] Buffered buffered_amount() const noexcept { return port().buffered_amount(); }
  [[nodiscard]] Drained drained() const { return port().drained(); }
  [[nodiscard]] bool is_open() const noexcept { return port().is_open(); }
  void close() noexcept { port().close(); }

 private:
  friend std::pair<Sender, Receiver> split(MessagePort&& port);
  explicit Sender(std::shared_ptr<MessagePort> port) noexcept : port_(std::move(port)) {}
  MessagePort& port() const noexcept { return *port_; }

  std::shared_ptr<MessagePort> port_ = std::make_shared<MessagePort>();
};

/// Receives, and belongs to one thread, with its loop if it has a listener. As Sender.
class Receiver {
 public:
  Receiver() noexcept = default;
  Receiver(Receiver&&) noexcept = default;
  Receiver& operator=(Receiver&&) noexcept = default;

  [[nodiscard]] Received receive() { return port_->receive(); }
  [[nodiscard]] Received try_receive() { return port_->try_receive(); }
  [[nodiscard]] Received receive_for(std::chrono::nanoseconds patience) {
    return port_->receive_for(patience);
  }
  [[nodiscard]] Received receive(std::stop_token stop) { return port_->receive(std::move(stop)); }
  [[nodiscard]] std::size_t receive_batch(std::span<Received> batch) { return port_->receive_batch(batch); }
  template <class F>
  void on_message(F handler) & {
    port_->on_message(std::move(handler));
  }
  template <class T, class F>
  void on_message(F handler) & {
    port_->template on_message<T>(std::move(handler));
  }
  template <class F>
  void on_close(F handler) & {
    port_->on_close(std::move(handler));
  }
  [[nodiscard]] bool is_open() const noexcept { return port_->is_open(); }
  void close() noexcept { port_->close(); }

 private:
  friend std::pair<Sender, Receiver> split(MessagePort&& port);
  explicit Receiver(std::shared_ptr<MessagePort> port) noexcept : port_(std::move(port)) {}

  std::shared_ptr<MessagePort> port_ = std::make_shared<MessagePort>();
};

/// For a thread that posts and another one that receives: each can do only its part, and neither can transfer
/// the port under the other. Requests need both, and stay with whole ports.
[[nodiscard]] inline std::pair<Sender, Receiver> split(MessagePort&& port) {
  auto both = std::make_shared<MessagePort>(std::move(port));
  return {Sender(both), Receiver(both)};
}

/// A Sender for many threads of this process. Copies are the same sender. Messages of one thread arrive in
/// the order of its posts, those of several in some order, each whole. Posting waits for other threads that
/// are posting, also while those wait for room; closes with the last copy.
class SharedSender {
 public:
  explicit SharedSender(Sender sender) : shared_(std::make_shared<Shared>(std::move(sender))) {}
  /// Of a whole port, which nobody receives on.
  explicit SharedSender(MessagePort&& port) : SharedSender(split(std::move(port)).first) {}

  template <class T>
  void post_message(T&& value) {
    const std::lock_guard lock(shared_->mutex);
    shared_->sender.post_message(std::forward<T>(value));
  }
  template <class T>
  void post_message(T&& value, PostOptions options) {
    const std::lock_guard lock(shared_->mutex);
    shared_->sender.post_message(std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value) {
    const std::lock_guard lock(shared_->mutex);
    return shared_->sender.try_post_message(std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult try_post_message(T&& value, PostOptions options) {
    const std::lock_guard lock(shared_->mutex);
    return shared_->sender.try_post_message(std::forward<T>(value), std::move(options));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value) {
    const std::lock_guard lock(shared_->mutex);
    return shared_->sender.post_message_for(patience, std::forward<T>(value));
  }
  template <class T>
  [[nodiscard]] PostResult post_message_for(std::chrono::nanoseconds patience, T&& value,
                                            PostOptions options) {
    const std::lock_guard lock(shared_->mutex);
    return shared_->sender.post_message_for(patience, std::forward<T>(value), std::move(options));
  }
  [[nodiscard]] Buffered buffered_amount() const noexcept { return shared_->sender.buffered_amount(); }
  [[nodiscard]] bool is_open() const noexcept { return shared_->sender.is_open(); }
  void close() noexcept { shared_->sender.close(); }

 private:
  struct Shared {
    explicit Shared(Sender given) noexcept : sender(std::move(given)) {}
    std::mutex mutex;
    Sender sender;
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace v1
}  // namespace portolan
