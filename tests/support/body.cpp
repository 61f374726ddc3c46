// SPDX-License-Identifier: Apache-2.0

#include "support/body.hpp"

#include <cstdio>
#include <exception>
#include <map>

namespace portolan::testing {

namespace {

// A function's static, since registrations run before main in no particular order.
std::map<std::string_view, Body>& bodies() {
  static std::map<std::string_view, Body> registered;
  return registered;
}

}  // namespace

BodyRegistration::BodyRegistration(std::string_view name, Body body) {
  bodies().emplace(name, body);
}

std::optional<int> run_named_body(int argument_count, const char* const* arguments) {
  if (argument_count < 3 || std::string_view(arguments[1]) != "--portolan-body") {
    return std::nullopt;
  }
  const auto found = bodies().find(arguments[2]);
  if (found == bodies().end()) {
    std::fprintf(stderr, "no body named %s in %s\n", arguments[2], arguments[0]);
    return 98;
  }
  try {
    return found->second(BodyArguments(arguments + 3, static_cast<std::size_t>(argument_count - 3)));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "body %s: %s\n", arguments[2], error.what());
    return 99;
  }
}

}  // namespace portolan::testing
