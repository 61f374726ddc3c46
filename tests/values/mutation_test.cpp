// SPDX-License-Identifier: Apache-2.0

// Every message of a corpus, damaged in every single place, is either read or refused: nothing else may
// happen. The sanitizers watch the memory.
#include <bitset>
#include <boost/serialization/version.hpp>
#include <chrono>
#include <complex>
#include <doctest/doctest.h>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

enum class Kind : std::uint8_t { circle, square };

struct Solid {
  Kind kind = Kind::circle;
  std::array<float, 3> colour{};
  std::optional<std::string> label;
  std::vector<Solid> parts;
  MessagePort port;

  template <class Archive>
  void serialize(Archive& archive, unsigned version) {
    archive& kind& colour& label& parts;
    if (version >= 2) archive& port;
  }
};

struct Node {
  std::string name;
  std::vector<std::shared_ptr<Node>> neighbours;
  std::unique_ptr<Node> child;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& neighbours& child;
  }

  // What was read as a cycle owns itself.
  static void untie(const std::shared_ptr<Node>& start) {
    if (start == nullptr) return;
    std::vector<std::shared_ptr<Node>> found{start};
    std::vector<Node*> nodes{start.get()};
    while (!nodes.empty()) {
      Node* const node = nodes.back();
      nodes.pop_back();
      if (node->child != nullptr) nodes.push_back(node->child.get());
      for (std::shared_ptr<Node>& neighbour : std::exchange(node->neighbours, {})) {
        if (neighbour == nullptr) continue;
        nodes.push_back(neighbour.get());
        found.push_back(std::move(neighbour));
      }
    }
  }
};

using Table = std::unordered_map<std::string, std::variant<std::monostate, bool, double, std::vector<int>>>;
using Grab = std::tuple<std::set<int>, std::multimap<char, std::wstring>, std::vector<bool>, std::bitset<11>,
                        std::complex<float>, std::chrono::milliseconds, std::filesystem::path, long double,
                        std::list<std::pair<short, std::u16string>>>;

struct Outcomes {
  int read = 0;
  int refused = 0;
};

template <class T>
void try_to_read(const Message& message, bool trusted, Outcomes& outcomes) {
  try {
    [[maybe_unused]] const T value = receive<T>(message, trusted);
    if constexpr (std::is_same_v<T, std::shared_ptr<Node>>) Node::untie(value);
    ++outcomes.read;
  } catch (const DataCloneError&) {
    ++outcomes.refused;
  }
}

// Every byte replaced by every other value, every length cut off, and a byte more.
template <class T>
Outcomes read_damaged(const Message& message, bool trusted) {
  Outcomes outcomes;
  Message damaged = message;
  for (std::byte& byte : damaged.payload) {
    const std::byte original = byte;
    for (unsigned flip = 1; flip < 256; ++flip) {
      byte = original ^ static_cast<std::byte>(flip);
      try_to_read<T>(damaged, trusted, outcomes);
    }
    byte = original;
  }
  for (std::size_t length = 0; length < message.payload.size(); ++length) {
    damaged.payload.resize(length);
    CHECK_THROWS_AS(receive<T>(damaged, trusted), DataCloneError);
    damaged.payload = message.payload;
  }
  damaged.payload.push_back(std::byte{0});
  CHECK_THROWS_AS(receive<T>(damaged, trusted), DataCloneError);
  damaged.payload.pop_back();
  damaged.ports.clear();
  try_to_read<T>(damaged, trusted, outcomes);
  return outcomes;
}

Solid make_solid() {
  Solid shape{Kind::square, {0.5F, 1, 0}, "a label", {}, MessagePort(1)};
  shape.parts.push_back(Solid{Kind::circle, {}, std::nullopt, {}, MessagePort(2)});
  shape.parts.push_back(Solid{Kind::square, {1, 1, 1}, "", {}, MessagePort(3)});
  return shape;
}

}  // namespace

BOOST_CLASS_VERSION(Solid, 2)

TEST_CASE("a damaged value of the user's own types is read or refused") {
  for (const bool trusted : {true, false}) {
    const Message message = post(make_solid(), {}, trusted);
    const Outcomes outcomes = read_damaged<Solid>(message, trusted);
    CHECK(outcomes.read > 0);
    CHECK(outcomes.refused > 0);
  }
}

TEST_CASE("a damaged value of standard types is read or refused") {
  const Table table{{"nothing", {}}, {"flag", true}, {"pi", 3.14}, {"row", std::vector{1, 2, 3}}};
  const Grab grab{{1, 2},
                  {{'a', L"x"}, {'a', L"y"}},
                  {true, false, true},
                  0x5A5,
                  {1, -1},
                  std::chrono::milliseconds(5),
                  "/tmp",
                  1.5L,
                  {{1, u"one"}}};
  for (const bool trusted : {true, false}) {
    CHECK(read_damaged<Table>(post(table), trusted).refused > 0);
    CHECK(read_damaged<Grab>(post(grab), trusted).refused > 0);
  }
}

TEST_CASE("a damaged graph of shared objects is read or refused, and leaks nothing") {
  const auto first = std::make_shared<Node>();
  const auto second = std::make_shared<Node>();
  first->name = "first";
  first->neighbours = {second, first};
  second->neighbours = {first, nullptr, second};
  second->child = std::make_unique<Node>();
  second->child->neighbours = {first};
  const Outcomes outcomes = read_damaged<std::shared_ptr<Node>>(post(first), true);
  CHECK(outcomes.read > 0);
  CHECK(outcomes.refused > 0);
  Node::untie(first);
}

TEST_CASE("a message of one type is read as another or refused") {
  Outcomes outcomes;
  for (const Message& message : {post(make_solid()), post(Table{{"row", std::vector{1, 2}}}), post(Grab()),
                                 post(5), post("text"), post(std::vector<std::string>{"a", "b"})}) {
    try_to_read<Solid>(message, true, outcomes);
    try_to_read<Table>(message, true, outcomes);
    try_to_read<Grab>(message, true, outcomes);
    try_to_read<std::vector<Solid>>(message, true, outcomes);
    try_to_read<std::shared_ptr<Node>>(message, true, outcomes);
    try_to_read<MessagePort>(message, true, outcomes);
  }
  CHECK(outcomes.read >= 3);
  CHECK(outcomes.refused > 20);
}
