// SPDX-License-Identifier: Apache-2.0

// What becomes of names: who appears under one, goes, and is there again.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <portolan/event.hpp>
#include <portolan/event_target.hpp>
#include <portolan/export.hpp>
#include <portolan/message_port.hpp>

namespace portolan {

namespace names {
class WatchState;
}

inline namespace v1 {

enum class NameNews : std::uint8_t {
  appeared = 1,  ///< somebody listens under the name, also since before the watch began
  gone = 2,      ///< nobody does any more
  replaced = 3,  ///< somebody does again: a higher generation than the last one
};

/// The enumerator's name, which is the event's type.
[[nodiscard]] PORTOLAN_API std::string_view to_string(NameNews news) noexcept;

class PORTOLAN_API NameEvent final : public Event {
 public:
  NameEvent(NameNews news, std::string name, std::uint64_t generation, Peer owner) noexcept;
  ~NameEvent() override;
  NameEvent(NameEvent&&) noexcept;
  NameEvent& operator=(NameEvent&&) noexcept;

  [[nodiscard]] NameNews news() const noexcept { return news_; }
  [[nodiscard]] const std::string& name() const noexcept PORTOLAN_LIFETIMEBOUND { return name_; }
  /// Counts the listeners of all names: tells a restarted service from the one before it.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  /// Who listens, or has listened.
  [[nodiscard]] const Peer& owner() const noexcept { return owner_; }

 private:
  NameNews news_;
  std::string name_;
  std::uint64_t generation_;
  Peer owner_;
};

/// Watches a name, or all that match a pattern such as "org.example.*", of those that this user may connect
/// to. If portoland is started again the watch goes on by itself: a name that is registered again is
/// `replaced`, one that is not, after two seconds, `gone`.
///
/// Move-only. Threads: one at a time; with a handler it belongs to the loop's thread, and keeps run() from
/// returning. Fork: in a forked child it is closed.
class PORTOLAN_API NameWatch final : public EventTarget {
 public:
  /// Throws PortError: a pattern that is none, no portoland, limits.
  explicit NameWatch(std::string_view pattern);
  NameWatch(NameWatch&& other) noexcept;
  NameWatch& operator=(NameWatch&& other) noexcept;
  ~NameWatch() override;

  /// F takes a NameEvent&.
  template <class F>
  requires EventListener<F>
  void on_appeared(F handler) & { listen(NameNews::appeared, as_callback(std::move(handler))); }
  template <class F>
  requires EventListener<F>
  void on_gone(F handler) & { listen(NameNews::gone, as_callback(std::move(handler))); }
  template <class F>
  requires EventListener<F>
  void on_replaced(F handler) & { listen(NameNews::replaced, as_callback(std::move(handler))); }

  /// Without a loop: the next news; empty if there is none in time. InvalidStateError if closed.
  [[nodiscard]] std::optional<NameEvent> next_for(std::chrono::nanoseconds patience);
  /// Readable (level-triggered) when next_for() has something to do. The watch's.
  [[nodiscard]] int native_handle() const;

  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept;

 private:
  void listen(NameNews news, ListenerCallback handler);
  [[nodiscard]] names::WatchState& state(const char* call) const;

  std::shared_ptr<names::WatchState> state_;  // null: closed
};

}  // namespace v1
}  // namespace portolan
