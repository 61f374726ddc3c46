// SPDX-License-Identifier: Apache-2.0

// The standard library's types, one of each and some in each other.
#pragma once

#include <bitset>
#include <chrono>
#include <complex>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "fuzz/typed_input.hpp"

namespace portolan::fuzz {

enum class Colour : std::uint8_t { red, green };

using Setting = std::variant<std::monostate, bool, double, std::string, std::vector<int>>;
using Numbers = std::tuple<bool, char, short, int, long, unsigned char, char16_t, wchar_t, float, double,
                           long double, Colour>;

using StandardTypes =
    TypeList<std::vector<double>, std::vector<std::string>, std::map<int, std::string>,
             std::unordered_map<std::string, std::vector<int>>, std::set<std::int16_t>,
             std::multimap<char, std::wstring>, std::vector<bool>, std::bitset<11>,
             std::optional<std::string>, Setting, Numbers, std::array<std::vector<std::int16_t>, 2>,
             std::deque<std::pair<int, std::string>>, std::list<std::u16string>, std::chrono::milliseconds,
             std::chrono::system_clock::time_point, std::filesystem::path, std::complex<float>,
             std::unordered_multiset<std::string>, std::vector<std::vector<std::vector<std::string>>>,
             std::map<std::string, Setting>, std::unique_ptr<int>, std::vector<std::shared_ptr<std::string>>,
             std::unordered_set<int>, std::multiset<std::string>, std::unordered_multimap<int, bool>, bool,
             std::int32_t, long double, std::string, std::vector<std::byte>, std::array<std::byte, 3>>;

inline std::vector<Input> standard_seeds(bool trusted) {
  using namespace std::chrono_literals;
  const auto shared = std::make_shared<std::string>("shared");
  return StandardTypes::seeds(
      {1, 2.5, -3}, {"a", "", "a longer one, which takes memory"}, {{1, "one"}, {-2, "two"}},
      {{"odd", {1, 3}}, {"even", {}}}, {1, 2, 300}, {{'a', L"a"}, {'a', L"b"}}, {true, false, true},
      std::bitset<11>(0x5a5), "there", std::vector<int>{1, 2},
      Numbers{true, 'a', 1, 2, 3, '\4', u'5', L'6', 7.F, 8., 9.L, Colour::green},
      {std::vector<std::int16_t>{1}, std::vector<std::int16_t>{2, 3}}, {{1, "x"}, {2, "y"}}, {u"wide", u""},
      5ms, std::chrono::system_clock::time_point(5s), "/tmp/a", {1, 2}, {"a", "a", "b"}, {{{"deep"}, {}}, {}},
      {{"dark", true}, {"zoom", 1.5}, {"font", "Serif"}, {"none", {}}}, std::make_unique<int>(5),
      {shared, nullptr, shared}, {1, 2}, {"a", "a"}, {{1, true}, {1, false}}, true, 77, 2.5L, "text",
      std::vector<std::byte>(3), {}, trusted);
}

}  // namespace portolan::fuzz
