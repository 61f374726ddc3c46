// SPDX-License-Identifier: Apache-2.0

// Events as in the DOM: what happened, where, and what the listeners said about it. A target has no parent
// here, so an event is at its target or nowhere: capture listeners run first, then the others.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <portolan/export.hpp>

namespace portolan {

namespace port {
class Listeners;
}

inline namespace v1 {

class EventTarget;

/// The DOM's numbers. capturing and bubbling exist for them only: no target here has a parent.
enum class EventPhase : std::uint8_t { none = 0, capturing = 1, at_target = 2, bubbling = 3 };

struct EventInit {
  bool bubbles = false;     // kept and told, without effect
  bool cancelable = false;  // whether prevent_default() does anything
};

/// One event. An event belongs to the thread of its target: nothing here may be called from two threads. It
/// may be moved, but not while it is being dispatched; a moved-from event may only be destroyed or assigned
/// to.
class PORTOLAN_API Event {
 public:
  /// An event of the user's own, to be given to EventTarget::dispatch_event, any number of times.
  explicit Event(std::string type, EventInit init = {});
  [[gnu::always_inline]] virtual ~Event() {
    if (user_made_ != nullptr) [[unlikely]]
      forget(user_made_);
  }
  Event(Event&& other) noexcept
      : type_(other.type_),
        target_(std::exchange(other.target_, nullptr)),
        user_made_(std::exchange(other.user_made_, nullptr)),
        flags_(other.flags_) {}
  Event& operator=(Event&&) noexcept;

  [[nodiscard]] std::string_view type() const noexcept PORTOLAN_LIFETIMEBOUND { return type_; }

  /// Where it was dispatched last: null before, and after that target was destroyed. Follows a target that is
  /// moved.
  [[nodiscard]] EventTarget* target() const noexcept;

  /// The target while its listeners run, else null.
  [[nodiscard]] EventTarget* current_target() const noexcept;

  [[nodiscard]] EventPhase event_phase() const noexcept {
    return has(kDispatching) ? EventPhase::at_target : EventPhase::none;
  }
  [[nodiscard]] bool bubbles() const noexcept { return has(kBubbles); }
  [[nodiscard]] bool cancelable() const noexcept { return has(kCancelable); }
  [[nodiscard]] bool default_prevented() const noexcept { return has(kDefaultPrevented); }

  /// Whether the library dispatched it: true for messages and closes, false for whatever went through
  /// dispatch_event.
  [[nodiscard]] bool is_trusted() const noexcept { return has(kTrusted); }

  /// Makes dispatch_event return false. Does nothing if the event is not cancelable, or in a passive
  /// listener.
  void prevent_default() noexcept {
    if (has(kCancelable) && !has(kInPassiveListener)) flags_ |= kDefaultPrevented;
  }

  /// In a capture listener: the listeners that are none do not run. Forgotten when the dispatch ends.
  void stop_propagation() noexcept { flags_ |= kStopPropagation; }

  /// No further listener runs for this event. Forgotten when the dispatch ends.
  void stop_immediate_propagation() noexcept { flags_ |= kStopPropagation | kStopImmediatePropagation; }

 protected:
  /// For the library's own events: the type has static storage, so that making one allocates nothing.
  struct LibraryMade {
    std::string_view type;
  };
  explicit Event(LibraryMade made) noexcept : type_(made.type), flags_(kTrusted) {}

  /// As the library made it: no listener has had it. What is trusted has nothing of a user's.
  [[nodiscard]] bool untouched() const noexcept { return flags_ == kTrusted && target_ == nullptr; }

  virtual void keep_vtable_in_library() const noexcept;

 private:
  friend class port::Listeners;
  friend class EventTarget;

  enum Flag : unsigned {
    kTrusted = 1,
    kBubbles = 2,
    kCancelable = 4,
    kDefaultPrevented = 8,
    kStopPropagation = 16,
    kStopImmediatePropagation = 32,
    kInPassiveListener = 64,
    kDispatching = 128,
  };

  // What only a user's event has: it may outlive its target, and its type is its own.
  struct UserMade {
    std::string type;
    std::shared_ptr<port::Listeners> target;
  };

  static void forget(UserMade* owned) noexcept;
  [[nodiscard]] bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }

  std::string_view type_;
  port::Listeners* target_ = nullptr;
  UserMade* user_made_ = nullptr;  // owned
  unsigned flags_;
};

}  // namespace v1
}  // namespace portolan
