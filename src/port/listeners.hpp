// SPDX-License-Identifier: Apache-2.0

// The list behind an EventTarget, on the heap so that it outlives a target that is destroyed, and follows one
// that is moved, while its listeners run. Nothing is copied for a dispatch: listeners are appended behind the
// end that it saw, removed ones are marked, and both are tidied when the outermost dispatch is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <portolan/event.hpp>
#include <portolan/event_target.hpp>

namespace portolan::port {

class Listeners {
 public:
  using Call = Callback<void(Event&)>;

  explicit Listeners(EventTarget& owner) noexcept : owner_(&owner) {}

  /// Null once the target is destroyed.
  [[nodiscard]] EventTarget* owner() const noexcept { return owner_; }
  void move_to(EventTarget& owner) noexcept { owner_ = &owner; }

  /// The target is destroyed: no listener runs any more, not even for an event under way.
  void abandon() noexcept;

  ListenerId add(std::string_view type, Call call, ListenerOptions options);
  void remove(ListenerId id) noexcept;
  void set_handler(std::string_view type, Call call);
  [[nodiscard]] bool has(std::string_view type) const noexcept;

  /// Runs the listeners of the event's type. The caller shares this list for as long as the call takes.
  /// Throws the first exception of a listener that neither an exception handler nor a turn of the loop took,
  /// at the end.
  void dispatch(Event& event);

 private:
  struct Listener {
    ListenerId id = ListenerId::none;
    std::string type;
    Call call;
    bool once = false;
    bool passive = false;
    bool capture = false;
    bool handler = false;
    bool removed = false;
    std::stop_token signal;

    [[nodiscard]] bool live() const noexcept { return !removed && !signal.stop_requested(); }
  };

  void run_phase(Event& event, bool capture, std::size_t end, std::exception_ptr& unreported);
  void mark_removed(Listener& listener) noexcept;
  void tidy() noexcept;

  EventTarget* owner_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // in the order in which they were added
  std::vector<Call> replaced_;                        // handlers replaced while they may be running
  std::uint64_t last_id_ = 0;
  std::size_t capture_count_ = 0;  // how many were ever added: zero spares the first pass
  unsigned dispatches_ = 0;        // under way, nested
  bool untidy_ = false;
};

/// Internal access to a target's list.
struct EventTargetAccess {
  static const std::shared_ptr<Listeners>& listeners(EventTarget& target) { return target.listeners(); }
  static std::shared_ptr<Listeners> take(EventTarget& target) noexcept {
    return std::move(target.listeners_);
  }
};

}  // namespace portolan::port
