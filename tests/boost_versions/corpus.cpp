// SPDX-License-Identifier: Apache-2.0

// Writes one value of each kind, or reads what another build of this program has written, and ends with 0 if
// each value is written again as the same bytes. Built with several versions of Boost and several compilers.
//   usage: corpus write FILE      or      corpus read FILE
#include <algorithm>
#include <boost/serialization/array_wrapper.hpp>
#include <boost/serialization/base_object.hpp>
#include <boost/serialization/binary_object.hpp>
#include <boost/serialization/collection_size_type.hpp>
#include <boost/serialization/item_version_type.hpp>
#include <boost/serialization/nvp.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/version.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/standard_types.hpp"
#include "fuzz/user_types.hpp"

namespace {

// Everything of Boost.Serialization's own that gets into the bytes.
struct Base {
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& BOOST_SERIALIZATION_NVP(number);
  }
};

class Wrapped : public Base {
 public:
  std::vector<double> numbers;
  char raw[4] = {};

 private:
  friend class boost::serialization::access;
  template <class Archive>
  void save(Archive& archive, unsigned version) const {
    archive << boost::serialization::base_object<Base>(*this) << version;
    archive << boost::serialization::collection_size_type(numbers.size());
    archive << boost::serialization::item_version_type(3);
    archive << boost::serialization::make_array(numbers.data(), numbers.size());
    archive << boost::serialization::make_binary_object(const_cast<char*>(raw), sizeof raw);
  }
  template <class Archive>
  void load(Archive& archive, unsigned) {
    unsigned version = 0;
    boost::serialization::collection_size_type count;
    boost::serialization::item_version_type item_version;
    archive >> boost::serialization::base_object<Base>(*this) >> version >> count >> item_version;
    numbers.resize(std::as_const(count));
    archive >> boost::serialization::make_array(numbers.data(), numbers.size());
    archive >> boost::serialization::make_binary_object(raw, sizeof raw);
  }
  BOOST_SERIALIZATION_SPLIT_MEMBER()
};

using portolan::fuzz::Input, portolan::fuzz::untie;

// What a message is of, in its first byte; the committed corpus has them.
enum class Group : std::uint8_t { standard_types = 1, user_types, wrapped };

void append(std::string& bytes, Group group, std::span<const std::byte> message) {
  const auto size = static_cast<std::uint32_t>(message.size() + 1);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes.push_back(static_cast<char>(group));
  bytes.append(reinterpret_cast<const char*>(message.data()), message.size());
}

// All whole messages, each with its length and its group in front.
std::string corpus() {
  using namespace portolan::fuzz;
  const auto is_whole = [](const Input& seed) {
    return (seed.at(0) & std::byte{kWholeMessage}) != std::byte{};
  };
  std::string bytes;
  for (const Input& seed : standard_seeds(true))
    if (is_whole(seed)) append(bytes, Group::standard_types, seed);
  for (const Input& seed : user_seeds(true))
    if (is_whole(seed)) append(bytes, Group::user_types, seed);
  Wrapped wrapped;
  wrapped.number = 3;
  wrapped.numbers = {1, 2.5};
  std::memcpy(wrapped.raw, "raw", sizeof wrapped.raw);
  append(bytes, Group::wrapped, portolan::testing::post(wrapped).payload);
  return bytes;
}

// What is read from a message, written once more. Hashed collections come out in another order.
template <class T>
bool is_written_again(std::span<const std::byte> payload) {
  portolan::fuzz::InputSource source(payload, portolan::format_of<T>(), true);
  T value = portolan::decode<T>(source);
  const std::vector<std::byte> again = portolan::fuzz::post(std::move(value)).payload;
  untie(value);
  if constexpr (requires { typename T::hasher; })
    return std::is_permutation(payload.begin(), payload.end(), again.begin(), again.end());
  return std::equal(payload.begin(), payload.end(), again.begin(), again.end());
}

template <class... T>
bool is_written_again(portolan::fuzz::TypeList<T...>, std::span<const std::byte> seed) {
  constexpr bool (*kAgain[])(std::span<const std::byte>) = {is_written_again<T>...};
  const unsigned type = std::to_integer<unsigned>(seed[0]) & ~portolan::fuzz::kWholeMessage;
  FUZZ_HOLDS(type < std::size(kAgain));
  return kAgain[type](seed.subspan(1));
}

bool is_read(std::span<const std::byte> message) {
  const auto group = static_cast<Group>(message[0]);
  message = message.subspan(1);
  if (group == Group::standard_types) return is_written_again(portolan::fuzz::StandardTypes(), message);
  if (group == Group::user_types) return is_written_again(portolan::fuzz::UserTypes(), message);
  const auto wrapped =
      portolan::testing::receive<Wrapped>({portolan::Format::value, {message.begin(), message.end()}, {}});
  return group == Group::wrapped && wrapped.number == 3 && wrapped.numbers == std::vector<double>{1, 2.5} &&
         std::strcmp(wrapped.raw, "raw") == 0;
}

std::size_t read_all(const std::string& bytes) {
  std::size_t messages = 0;
  for (std::size_t at = 0; at < bytes.size(); ++messages) {
    std::uint32_t size = 0;
    FUZZ_HOLDS(bytes.size() - at >= sizeof size);
    std::memcpy(&size, bytes.data() + at, sizeof size);
    at += sizeof size;
    FUZZ_HOLDS(size > 1 && bytes.size() - at >= size);
    const bool was_read = is_read(std::as_bytes(std::span(bytes)).subspan(at, size));
    if (!was_read) std::fprintf(stderr, "message %zu is another one when it is written again\n", messages);
    FUZZ_HOLDS(was_read);
    at += size;
  }
  return messages;
}

}  // namespace

int main(int count, char** arguments) {
  FUZZ_HOLDS(count == 3);
  if (std::strcmp(arguments[1], "write") == 0) {
    std::ofstream(arguments[2], std::ios::binary) << corpus();
    std::printf("Boost %d\n", BOOST_VERSION);
    return 0;
  }
  std::ifstream file(arguments[2], std::ios::binary);
  const std::size_t messages = read_all(std::string(std::istreambuf_iterator<char>(file), {}));
  std::printf("%zu messages\n", messages);
  return messages > 30 ? 0 : 1;
}
