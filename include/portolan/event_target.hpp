// SPDX-License-Identifier: Apache-2.0

// Something that events happen to: a list of listeners, and the DOM's rules for running them.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <portolan/callback.hpp>
#include <portolan/event.hpp>
#include <portolan/export.hpp>

namespace portolan {

namespace port {
struct EventTargetAccess;
}

inline namespace v1 {

/// Names one listener of one target, for its removal. The DOM finds a listener again by its function object;
/// a callable of C++ has no identity, so adding the same one twice makes two listeners.
enum class ListenerId : std::uint64_t { none = 0 };

struct ListenerOptions {
  bool once = false;            // removed before its first call
  bool passive = false;         // its prevent_default() does nothing
  bool capture = false;         // runs before those that are not
  std::stop_token signal = {};  // it is not called any more once stop is requested, from any thread
};

/// The event as a listener wants it: a parameter of a derived class is served if the event is one.
class ListenerArgument {
 public:
  explicit ListenerArgument(Event& event) noexcept : event_(event) {}

  template <class Derived>
  requires std::derived_from<Derived, Event>
  operator Derived&() const {  // NOLINT(google-explicit-constructor): it stands for the event
    if (typeid(event_) == typeid(Derived)) return static_cast<Derived&>(event_);
    return dynamic_cast<Derived&>(event_);
  }

 private:
  Event& event_;
};

/// An object with handle_event(Event&), or a pointer to one, which is looked at anew for each event.
template <class F>
concept EventHandlerObject = requires(F& object, Event& event) {
  object.handle_event(event);
}
|| requires(F& pointer, Event& event) {
  pointer->handle_event(event);
};

/// Callable with an Event&, with a reference to a class derived from it, or with nothing; or an object as
/// above.
template <class F>
concept EventListener = std::invocable<F&, Event&> || std::invocable<F&, ListenerArgument> ||
    std::invocable<F&> || EventHandlerObject<F>;

/// Listeners live as long as the target. Moving the target moves them along, also during a dispatch. A target
/// belongs to one thread at a time; a listener may do anything to it: add, remove, dispatch, move it, destroy
/// it.
class PORTOLAN_API EventTarget {
 public:
  EventTarget() noexcept;
  virtual ~EventTarget();
  EventTarget(EventTarget&& other) noexcept;
  EventTarget& operator=(EventTarget&& other) noexcept;  // the listeners that it had are gone

  /// Adds a listener, behind those that are there. One added during a dispatch does not run for that event.
  /// Returns ListenerId::none, and adds nothing, if the signal is already stopped or the listener is null (an
  /// empty std::function, a null pointer). A listener that wants a
  /// derived event and is given another one (by dispatch_event) fails with std::bad_cast, like any listener
  /// that throws.
  template <EventListener F>
  ListenerId add_event_listener(std::string_view type, F listener, ListenerOptions options = {}) & {
    return add(type, as_callback(std::move(listener)), std::move(options));
  }
  /// The same, with `capture` for its only option.
  template <EventListener F, std::same_as<bool> Capture>
  ListenerId add_event_listener(std::string_view type, F listener, Capture capture) & {
    return add(type, as_callback(std::move(listener)), {.capture = capture});
  }
  ListenerId add_event_listener(std::string_view, std::nullptr_t, const ListenerOptions& = {}) & {
    return ListenerId::none;
  }

  /// It is not called any more, not even for an event whose dispatch is under way. Unknown ones are ignored.
  void remove_event_listener(ListenerId id) noexcept;

  /// Runs the listeners, now, for an event of the caller's making; returns false if one of them prevented its
  /// default. What they throw stops none of them; it goes to the exception handler of this thread's loop,
  /// else is thrown by the run() in whose turn this happens, else the first of it by this call, at its end.
  /// Throws InvalidStateError if this very event is being dispatched already.
  bool dispatch_event(Event& event);

 protected:
  using ListenerCallback = Callback<void(Event&)>;

  template <EventListener F>
  static ListenerCallback as_callback(F listener) {
    if constexpr (requires { listener == nullptr; })
      if (listener == nullptr) return {};
    if constexpr (std::invocable<F&, Event&>) {
      return ListenerCallback(std::move(listener));
    } else if constexpr (std::invocable<F&, ListenerArgument>) {
      return [f = std::move(listener)](Event& event) mutable { f(ListenerArgument(event)); };
    } else if constexpr (std::invocable<F&>) {
      return [f = std::move(listener)](Event&) mutable { f(); };
    } else if constexpr (requires(Event & event) { listener.handle_event(event); }) {
      return [object = std::move(listener)](Event& event) mutable { object.handle_event(event); };
    } else {
      return [pointer = std::move(listener)](Event& event) mutable { pointer->handle_event(event); };
    }
  }

  /// What assigning to an `on...` attribute is on the Web: one handler a type. The first one appends a
  /// listener, later ones take its place in the list, an empty one removes it.
  void set_handler(std::string_view type, ListenerCallback handler);

  /// Whether an event of this type would reach anybody.
  [[nodiscard]] bool has_listener(std::string_view type) const noexcept;

 private:
  friend struct port::EventTargetAccess;

  ListenerId add(std::string_view type, ListenerCallback listener, ListenerOptions options);
  const std::shared_ptr<port::Listeners>& listeners();  // made at the first need

  std::shared_ptr<port::Listeners>
      listeners_;  // shared with whoever dispatches; null if nobody ever listened
};

}  // namespace v1
}  // namespace portolan
