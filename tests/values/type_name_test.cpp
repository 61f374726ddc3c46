// SPDX-License-Identifier: Apache-2.0

// Names of types and their fingerprints, as literals: every compiler and every later version of this library
// has to find the same ones.
#include <bitset>
#include <chrono>
#include <complex>
#include <doctest/doctest.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <variant>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;
using namespace portolan::testing;

namespace office {

struct Job {
  int number = 0;
  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number;
  }
};

using Jobs = std::vector<Job>;

struct Order : Job {};

inline namespace _V2 {
struct Desk {};
}  // namespace _V2

namespace {
struct Drawer {};
}  // namespace

template <class T, class Policy = std::less<T>>
struct Pile {
  struct Sheet {};
};
template <class T, std::size_t N>
struct Row {};
enum class Mood : std::int16_t { fine };

}  // namespace office

template <>
inline constexpr std::string_view portolan::type_name<office::Order> = "org.example.Order";
BOOST_CLASS_VERSION(office::Job, 2)

namespace {

template <class T>
constexpr std::string_view named = type_identity<T>.name;

template <class T>
constexpr std::uint32_t print = type_identity<T>.fingerprint;

}  // namespace

static_assert(named<bool> == "bool");
static_assert(named<long> == "int64" && named<long long> == "int64" && named<unsigned char> == "uint8");
static_assert(named<char> == "char" && named<char8_t> == "char" && named<wchar_t> == "char32");
static_assert(named<double> == "float64" && named<long double> == "float128");
static_assert(named<office::Mood> == "int16" && named<std::byte> == "uint8");

static_assert(named<office::Job> == "office::Job");
static_assert(named<office::Desk> == "office::Desk");
static_assert(named<office::Drawer> == "office::Drawer");
static_assert(named<office::Order> == "org.example.Order");
static_assert(named<office::Pile<office::Order>> ==
              "office::Pile<org.example.Order, std::less<org.example.Order>>");
static_assert(named<office::Row<std::string, 3>> == "office::Row<std::string, 3>");
static_assert(named<office::Pile<int>::Sheet> == "office::Pile<int>::Sheet");

static_assert(named<std::string> == "std::string" && named<std::u8string> == "std::string");
static_assert(named<std::wstring> == "std::basic_string<char32>");
static_assert(named<office::Jobs> == "std::vector<office::Job>");
static_assert(named<std::list<int>> == "std::list<int32>" && named<std::deque<int>> == "std::deque<int32>");
static_assert(named<std::map<std::string, office::Jobs, std::greater<>>> ==
              "std::map<std::string, std::vector<office::Job>>");
static_assert(named<std::unordered_multimap<int, bool>> == "std::unordered_multimap<int32, bool>");
static_assert(named<std::unordered_set<int>> == "std::unordered_set<int32>");
static_assert(named<std::array<office::Job, 4>> == "std::array<office::Job, 4>");
static_assert(named<office::Job[4]> == "std::array<office::Job, 4>");
static_assert(named<std::bitset<9>> == "std::bitset<9>");
static_assert(named<std::pair<int, float>> == "std::pair<int32, float32>" &&
              named<std::tuple<>> == "std::tuple<>");
static_assert(named<std::optional<std::variant<std::monostate, int>>> ==
              "std::optional<std::variant<std::monostate, int32>>");
static_assert(named<std::complex<double>> == "std::complex<float64>");
static_assert(named<std::unique_ptr<office::Job>> == "std::unique_ptr<office::Job>");
static_assert(named<std::shared_ptr<const office::Job>> == "std::shared_ptr<const office::Job>");
static_assert(named<std::vector<MessagePort>> == "std::vector<portolan::MessagePort>");
static_assert(named<std::filesystem::path> == "std::filesystem::path");
static_assert(named<std::chrono::milliseconds> == "std::chrono::duration<int64, std::ratio<1, 1000>>");
static_assert(named<std::chrono::system_clock::time_point> ==
              "std::chrono::time_point<std::chrono::system_clock, std::chrono::duration<int64, std::ratio<1, "
              "1000000000>>>");

// FNV-1a of nothing and of "a", as its authors give them, each with its halves folded.
static_assert(fingerprint_of("") == (0xcbf29ce4 ^ 0x84222325));
static_assert(fingerprint_of("a") == (0xaf63dc4c ^ 0x8601ec8c));
static_assert(print<office::Job> == 0x1492f76f && print<office::Jobs> == 0x3c6693de);

TEST_CASE("a name of a class within a function is the class's") {
  struct Note {};
  CHECK(named<Note> == "Note");
}

TEST_CASE("a type of another name is refused, whatever its structure, and the error has both") {
  struct Same {
    int number = 0;
    void serialize(ValueWriter& archive, unsigned) { archive& number; }
    void serialize(ValueReader& archive, unsigned) { archive& number; }
  };
  CHECK_THROWS_WITH_AS(receive<Same>(post(office::Job{1})),
                       "value: sent: a type with fingerprint 0x1492f76f v2, read as: Same", DataCloneError);
  CHECK_THROWS_WITH_AS(receive<std::string>(post(office::Job{1})),
                       "value: sent: a type with fingerprint 0x1492f76f v2, read as: text", DataCloneError);
  CHECK_THROWS_WITH_AS(receive<office::Jobs>(post("five")),
                       "value: sent: text, read as: std::vector<office::Job>", DataCloneError);
}
