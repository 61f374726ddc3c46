// SPDX-License-Identifier: Apache-2.0

// The move-only callable behind listeners and tasks.
#include <array>
#include <doctest/doctest.h>
#include <memory>
#include <utility>

#include <portolan/callback.hpp>

using portolan::Callback;

TEST_CASE("a callback owns a move-only callable, small or large, and gives it up once") {
  auto owned = std::make_shared<int>(20);
  const std::weak_ptr<int> watched = owned;
  Callback<int(int)> callback;
  CHECK_FALSE(callback);
  SUBCASE("in place") {
    callback = [own = std::make_unique<std::shared_ptr<int>>(std::move(owned))](int more) {
      return **own + more;
    };
  }
  SUBCASE("on the heap") {
    callback = [own = std::move(owned), large = std::array<int, 50>{}](int more) {
      return *own + large[7] + more;
    };
  }
  Callback<int(int)> moved = std::move(callback);
  CHECK_FALSE(callback);  // NOLINT(bugprone-use-after-move): that it is empty is the point
  CHECK(moved(3) == 23);
  moved = {};
  CHECK(watched.expired());
}

TEST_CASE("a callback keeps the state of a mutable callable between calls") {
  Callback<int()> count = [n = 0]() mutable { return ++n; };
  count();
  Callback<int()> moved = std::move(count);
  CHECK(moved() == 2);
}

TEST_CASE("arguments pass through a callback without a copy") {
  Callback<int(std::unique_ptr<int>)> take = [](std::unique_ptr<int> value) { return *value; };
  CHECK(take(std::make_unique<int>(5)) == 5);
}
