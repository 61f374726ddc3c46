// SPDX-License-Identifier: Apache-2.0

// A callable of any type behind one type, as std::function, but move-only: listeners and tasks may own ports.
// Callables of up to three words whose move does not throw are stored in place, larger ones on the heap.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace portolan {
inline namespace v1 {

template <class Signature>
class Callback;

/// Empty when default-constructed or moved from; calling it then is undefined. Like every value it may be
/// moved to another thread, but not be used from two at a time.
template <class Result, class... Arguments>
class Callback<Result(Arguments...)> {
 public:
  Callback() noexcept = default;

  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Callback> &&
           std::is_invocable_r_v<Result, std::decay_t<F>&, Arguments...>)
      Callback(F&& callable) {  // NOLINT(google-explicit-constructor): it stands for the callable
    using Stored = std::decay_t<F>;
    if constexpr (kFitsInPlace<Stored>) {
      ::new (static_cast<void*>(place_)) Stored(std::forward<F>(callable));
      operations_ = &kInPlace<Stored>;
    } else {
      ::new (static_cast<void*>(place_)) Stored*(new Stored(std::forward<F>(callable)));
      operations_ = &kOnHeap<Stored>;
    }
  }

  Callback(Callback&& other) noexcept { take(other); }
  Callback& operator=(Callback&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~Callback() { reset(); }

  Result operator()(Arguments... arguments) {
    return operations_->call(place_, std::forward<Arguments>(arguments)...);
  }

  explicit operator bool() const noexcept { return operations_ != nullptr; }

 private:
  struct Operations {
    Result (*call)(void* place, Arguments&&... arguments);
    void (*move)(void* from, void* to) noexcept;
    void (*destroy)(void* place) noexcept;
  };

  static constexpr std::size_t kPlaceBytes = 3 * sizeof(void*);

  template <class Stored>
  static constexpr bool kFitsInPlace =
      sizeof(Stored) <= kPlaceBytes &&
      alignof(Stored) <= alignof(void*) && std::is_nothrow_move_constructible_v<Stored>;

  template <class Stored>
  static constexpr Operations kInPlace = {
      [](void* place, Arguments&&... arguments) -> Result {
        return static_cast<Result>(
            std::invoke(*static_cast<Stored*>(place), std::forward<Arguments>(arguments)...));
      },
      [](void* from, void* to) noexcept {
        ::new (to) Stored(std::move(*static_cast<Stored*>(from)));
        static_cast<Stored*>(from)->~Stored();
      },
      [](void* place) noexcept { static_cast<Stored*>(place)->~Stored(); },
  };

  template <class Stored>
  static constexpr Operations kOnHeap = {
      [](void* place, Arguments&&... arguments) -> Result {
        return static_cast<Result>(
            std::invoke(**static_cast<Stored**>(place), std::forward<Arguments>(arguments)...));
      },
      [](void* from, void* to) noexcept { ::new (to) Stored*(*static_cast<Stored**>(from)); },
      [](void* place) noexcept { delete *static_cast<Stored**>(place); },
  };

  void take(Callback& other) noexcept {
    if (other.operations_ == nullptr) return;
    other.operations_->move(other.place_, place_);
    operations_ = std::exchange(other.operations_, nullptr);
  }

  void reset() noexcept {
    if (operations_ != nullptr) std::exchange(operations_, nullptr)->destroy(place_);
  }

  const Operations* operations_ = nullptr;
  alignas(void*) std::byte place_[kPlaceBytes];
};

}  // namespace v1
}  // namespace portolan
