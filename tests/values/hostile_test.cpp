// SPDX-License-Identifier: Apache-2.0

// Bytes that no honest writer makes, and values that no reader would take: each ends in DataCloneError,
// without more memory, stack or time than the bytes are worth.
#include <boost/serialization/level.hpp>
#include <doctest/doctest.h>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace {

template <class T>
Message value_of(std::initializer_list<int> bytes) {
  Message message{Format::value, {value_head<T>.begin(), value_head<T>.end()}, {}};
  for (const int byte : bytes) message.payload.push_back(static_cast<std::byte>(byte));
  return message;
}

template <class T>
void refuses(std::initializer_list<int> bytes, bool trusted = true) {
  CHECK_THROWS_AS(receive<T>(value_of<T>(bytes), trusted), DataCloneError);
}

struct Empty {
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};

struct Tree {
  std::vector<Tree> children;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& children;
  }
};

struct List {
  std::unique_ptr<List> next;
  std::shared_ptr<List> other;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& next& other;
  }
};

using Wide = std::array<char, 100'000>;

struct Animal {
  virtual ~Animal() = default;
  template <class Archive>
  void serialize(Archive&, unsigned) {}
};
struct Cat : Animal {};

}  // namespace

BOOST_CLASS_IMPLEMENTATION(Empty, boost::serialization::object_serializable)

TEST_CASE("short, long and unknown payloads are refused") {
  refuses<std::vector<int>>({});
  refuses<std::vector<int>>({1, 0, 0, 0});
  refuses<std::vector<int>>({1, 0, 0, 0, 0, 0});
  Message message = post(std::vector<int>{1});
  message.payload[0] = std::byte{2};
  CHECK_THROWS_AS(receive<std::vector<int>>(message), DataCloneError);
  message.payload.clear();
  CHECK_THROWS_AS(receive<std::vector<int>>(message), DataCloneError);
  message.format = static_cast<Format>(15);
  CHECK_THROWS_WITH_AS(receive<std::vector<int>>(message),
                       "value: sent: unknown, read as: std::vector<int32>", DataCloneError);
}

TEST_CASE("absurd counts are refused before memory is taken") {
  refuses<std::vector<double>>({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1});
  refuses<std::vector<double>>({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2});     // 65 bits
  refuses<std::vector<double>>({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF});  // never ends
  refuses<std::vector<char>>({0x81, 0x00, 'a'});  // 1, in two bytes
  refuses<std::vector<double>>({2, 0, 0, 0, 0, 0, 0, 0, 0});
  refuses<std::vector<std::string>>({0xFF, 0x7F, 0});
  refuses<std::vector<bool>>({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F});
  refuses<std::map<int, int>>({0xFF, 0x7F, 0});
  refuses<std::set<int>>({0xFF, 0x7F, 0});
  refuses<std::u16string>({2, 0, 0});
}

TEST_CASE("values that a type does not have are refused") {
  refuses<std::optional<char>>({2, 'a'});
  refuses<std::variant<char, bool>>({2, 0});
  refuses<std::vector<bool>>({3, 8});  // a fourth bit
  refuses<std::bitset<3>>({8});
  refuses<std::set<char>>({2, 'a', 'a'});
  refuses<std::map<char, char>>({2, 'a', 1, 'a', 2});
  refuses<std::shared_ptr<char>>({2, 'a'});
  refuses<MessagePort>({0});
  refuses<MessagePort>({0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1});
}

TEST_CASE("a reference to an object of another type is refused") {
  using Two = std::pair<std::shared_ptr<std::uint8_t>, std::shared_ptr<std::string>>;
  refuses<Two>({1, 'a', 1});
}

TEST_CASE("nesting is bounded, where it is read and where it is written") {
  // A tree that is one child deep takes two bytes a level: a version and a size.
  Message message = value_of<Tree>({});
  for (std::size_t i = 0; i < kDepthLimit - 1; ++i)
    message.payload.insert(message.payload.end(), {std::byte{0}, std::byte{1}});
  Message fits = message;
  fits.payload.insert(fits.payload.end(), {std::byte{0}, std::byte{0}});
  const Tree tree = receive<Tree>(fits);
  CHECK(post(tree).payload == fits.payload);

  message.payload.insert(message.payload.end(), {std::byte{0}, std::byte{1}, std::byte{0}, std::byte{0}});
  CHECK_THROWS_AS(receive<Tree>(message), DataCloneError);
  Tree deeper;
  deeper.children.push_back(tree);
  CHECK_THROWS_AS(post(deeper), DataCloneError);
}

TEST_CASE("cycles that a failed read leaves behind are freed") {
  // next: none; other: object 1, whose other is itself, and then nothing more. LeakSanitizer sees the rest.
  refuses<List>({0, 0, 1, 0, 0, 1, 9});
  refuses<std::shared_ptr<List>>({1, 0, 1});
  const auto list = receive<std::shared_ptr<List>>(value_of<std::shared_ptr<List>>({1, 0, 0, 1}));
  CHECK(list->other == list);
  list->other.reset();
}

TEST_CASE("a foreign peer's message takes memory in proportion to its bytes") {
  const Message message = post(std::vector<std::optional<Wide>>(1000));
  CHECK(message.payload.size() == kValueHeadBytes + 1002);
  CHECK(receive<std::vector<std::optional<Wide>>>(message).size() == 1000);
  CHECK_THROWS_AS(receive<std::vector<std::optional<Wide>>>(message, false), DataCloneError);
  CHECK(receive<std::vector<std::string>>(post(std::vector<std::string>(10'000)), false).size() == 10'000);
}

TEST_CASE("elements that take no bytes are refused where they are written") {
  CHECK_THROWS_AS(post(std::vector<Empty>(3)), DataCloneError);
  CHECK_THROWS_AS(post(std::set<std::tuple<>>{{}}), DataCloneError);
  CHECK(post(std::vector<Empty>()).payload.size() == kValueHeadBytes + 1);
}

TEST_CASE("a pointer to a derived object is refused rather than cut") {
  CHECK_THROWS_AS(post(std::unique_ptr<Animal>(std::make_unique<Cat>())), DataCloneError);
  CHECK_THROWS_AS(post(std::shared_ptr<Animal>(std::make_shared<Cat>())), DataCloneError);
  CHECK(receive<std::unique_ptr<Animal>>(post(std::make_unique<Animal>())) != nullptr);
}

namespace {

struct Thrower {
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    bool thrown = true;
    archive& thrown;
    if (thrown && Archive::is_saving::value == saving) throw std::invalid_argument("on purpose");
  }
  static inline bool saving = true;
};

}  // namespace

TEST_CASE("what a serialize throws reaches the poster as it is and the reader as DataCloneError") {
  Thrower::saving = true;
  CHECK_THROWS_AS(post(Thrower()), std::invalid_argument);
  Thrower::saving = false;
  CHECK_THROWS_WITH_AS(receive<Thrower>(post(Thrower())), "value: on purpose", DataCloneError);
}
