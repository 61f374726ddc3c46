// SPDX-License-Identifier: Apache-2.0

// What a call throws, and whether its message names what it should.
#pragma once

#include <doctest/doctest.h>
#include <initializer_list>
#include <string>
#include <string_view>

namespace portolan::testing {

// The message of the Error that `call` throws; a failed check if it throws nothing or something else.
template <class Error, class Call>
[[nodiscard]] std::string said_by(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& other) {
    FAIL_CHECK("another exception: " << other.what());
    return {};
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}

// A clear message names the call, the object and the cure.
inline void check_names(const std::string& message, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts)
    CHECK_MESSAGE(message.find(part) != std::string::npos,
                  "\"" << message << "\" does not say \"" << std::string(part) << "\"");
}

}  // namespace portolan::testing
