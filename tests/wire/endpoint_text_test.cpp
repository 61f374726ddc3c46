// SPDX-License-Identifier: Apache-2.0

// Endpoints as text: round trips, odd spellings, mutations.
#include "wire/endpoint_text.hpp"

#include <climits>
#include <doctest/doctest.h>
#include <random>
#include <string>
#include <vector>

using namespace portolan::wire;

namespace {

constexpr std::string_view kOne = "1;5,6,12,a,00112233445566778899aabbccddeeff,parent";

EndpointText endpoint(int segment, int socket, std::string name) {
  EndpointText result;
  result.segment = segment;
  result.socket = socket;
  result.expected_generation = UINT64_MAX;
  result.side = Side::b;
  for (std::size_t i = 0; i < result.channel.size(); ++i)
    result.channel[i] = static_cast<std::byte>(255 - 16 * i);
  result.name = std::move(name);
  return result;
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kOne);
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("endpoints come back as they were") {
  const std::vector<EndpointText> endpoints{endpoint(0, INT_MAX, "parent"),
                                            endpoint(3, 4, "a.b-c_d:e/f@g+H9"),
                                            endpoint(7, 5, std::string(kMaxNameBytes, 'x'))};
  CHECK(parse_endpoints(format_endpoints(endpoints)) == endpoints);
  CHECK(parse_endpoints(format_endpoints({})) == std::vector<EndpointText>{});
}

TEST_CASE("the text is what the format says") {
  const auto found = parse_endpoints(kOne);
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  const EndpointText& one = found->front();
  CHECK(one.segment == 5);
  CHECK(one.socket == 6);
  CHECK(one.expected_generation == 12);
  CHECK(one.side == Side::a);
  CHECK(one.channel[1] == std::byte{0x11});
  CHECK(one.channel[15] == std::byte{0xff});
  CHECK(one.name == "parent");
  CHECK(format_endpoints(*found) == kOne);
}

TEST_CASE("a name is 1 to 64 plain characters") {
  CHECK(is_endpoint_name("x"));
  CHECK(is_endpoint_name(std::string(kMaxNameBytes, 'x')));
  CHECK_FALSE(is_endpoint_name(""));
  CHECK_FALSE(is_endpoint_name(std::string(kMaxNameBytes + 1, 'x')));
  for (const char odd : std::string_view(",; =\n\t\"'\\\x7f\xc3\0", 13))
    CHECK_FALSE(is_endpoint_name({&odd, 1}));
}

TEST_CASE("an odd text is refused") {
  for (const std::string& text : {
           std::string(),
           std::string("1"),
           std::string("2;"),
           std::string(";"),
           std::string("1;;"),
           std::string(kOne.substr(2)),
           std::string(kOne) + ";",
           std::string(kOne) + ",x",
           ' ' + std::string(kOne),
           std::string(kOne) + '\0',
           replaced("1;", "01;"),
           replaced("1;", "2;"),
           replaced("5,", "05,"),
           replaced("5,", "+5,"),
           replaced("5,", "-5,"),
           replaced("5,", " 5,"),
           replaced("5,", ","),
           replaced("5,", "5x,"),
           replaced("5,", "0x5,"),
           replaced("5,", "2147483648,"),
           replaced("5,", "6,"),
           replaced("12,", "18446744073709551616,"),
           replaced("12,", "-1,"),
           replaced("a,", "c,"),
           replaced("a,", "A,"),
           replaced("a,", ","),
           replaced("aabb", "AABB"),
           replaced("00112233", "0011223"),
           replaced("00112233", "001122330"),
           replaced("0011", "-011"),
           replaced("0011", "0x11"),
           replaced("0011", "g011"),
           replaced("parent", ""),
           replaced("parent", "a b"),
       }) {
    CAPTURE(text);
    CHECK_FALSE(parse_endpoints(text));
  }
}

TEST_CASE("a descriptor or a name that stands twice is refused") {
  const auto parse = [](const EndpointText& first, const EndpointText& second) {
    return parse_endpoints(format_endpoints(std::vector{first, second})).has_value();
  };
  CHECK(parse(endpoint(3, 4, "a"), endpoint(5, 6, "b")));
  CHECK_FALSE(parse(endpoint(3, 4, "a"), endpoint(5, 6, "a")));
  CHECK_FALSE(parse(endpoint(3, 4, "a"), endpoint(3, 6, "b")));
  CHECK_FALSE(parse(endpoint(3, 4, "a"), endpoint(5, 3, "b")));
  CHECK_FALSE(parse(endpoint(3, 3, "a"), endpoint(5, 6, "b")));
}

TEST_CASE("more endpoints than a process could hold are refused") {
  std::vector<EndpointText> endpoints;
  for (std::size_t i = 0; i < kMaxTextEndpoints; ++i) {
    endpoints.push_back(endpoint(static_cast<int>(2 * i), static_cast<int>(2 * i + 1), std::to_string(i)));
  }
  CHECK(parse_endpoints(format_endpoints(endpoints)) == endpoints);
  endpoints.push_back(endpoint(5000, 5001, "last"));
  CHECK_FALSE(parse_endpoints(format_endpoints(endpoints)));
}

TEST_CASE("whatever is parsed is formatted as the same text") {
  std::minstd_rand random(20'261'122);
  constexpr std::string_view kAlphabet = "0123456789abcdefgA,;.- \n";
  std::size_t accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text = format_endpoints(std::vector{endpoint(30, 40, "first"), endpoint(5, 66, "second")});
    for (unsigned change = 0; change <= random() % 3; ++change) {
      const std::size_t at = random() % text.size();
      const char letter = kAlphabet[random() % kAlphabet.size()];
      if (random() % 8 == 0)
        text.erase(at, random() % 4);
      else if (random() % 8 == 0)
        text.insert(at, 1, letter);
      else
        text[at] = letter;
      if (text.empty()) text = "1";
    }
    const auto found = parse_endpoints(text);
    if (!found) continue;
    ++accepted;
    REQUIRE(format_endpoints(*found) == text);
  }
  CHECK(accepted > 1000);  // else this tried nothing
}
