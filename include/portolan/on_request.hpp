// SPDX-License-Identifier: Apache-2.0

// The other half of MessagePort::request(): a handler whose result is the reply, and which leaves nobody
// waiting for one.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <portolan/message_port.hpp>

namespace portolan {
inline namespace v1 {

/// Has requests of T answered on `port`, in its thread's loop, as on_message<T>() would have them handled,
/// and in its place: what F(T) or F(T, MessageEvent&) gives is the reply. If that is void, the handler
/// answers by MessageEvent::reply(), now or later. A request that is no T becomes a messageerror; it is
/// refused, unless a listener of that has answered it, and so is one on which the handler throws a
/// std::exception: the other side's RequestError has the words. Of a message that is no request the result is
/// dropped, and what the handler throws is thrown.
///
/// Replies are posts, so one thread has to post and receive on this port; no other place in the library posts
/// by itself.
template <class T, class F>
requires(std::is_invocable_v<F&, T> ||
         std::is_invocable_v<F&, T, MessageEvent&>) void on_request(MessagePort& port, F handler) {
  port.add_event_listener("messageerror", [](MessageEvent& error) {
    if (error.is_request()) error.refuse(error.what());
  });
  port.template on_message<T>([f = std::move(handler)](T value, MessageEvent& event) mutable {
    const auto give = [&]() -> decltype(auto) {
      if constexpr (std::is_invocable_v<F&, T, MessageEvent&>)
        return f(std::move(value), event);
      else
        return f(std::move(value));
    };
    const bool asked = event.is_request();
    try {
      if constexpr (std::is_void_v<decltype(give())>)
        give();
      else if (auto result = give(); event.is_request())
        event.reply(std::move(result));
    } catch (const std::exception& error) {
      if (!asked) throw;
      if (event.is_request()) event.refuse(error.what());
    }
  });
}

}  // namespace v1
}  // namespace portolan
