// SPDX-License-Identifier: Apache-2.0

// Reads CBOR in hexadecimal digits, a line each, and writes each again as a Value writes it, or "refused" and
// why.
#include <iostream>
#include <string>

#include <portolan/error.hpp>
#include <portolan/value.hpp>

#include "cbor/hex.hpp"

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      const auto value = portolan::Value::from_cbor(portolan::testing::from_hex(line));
      std::cout << portolan::testing::to_hex(value.to_cbor()) << '\n';
    } catch (const portolan::DataCloneError& error) {
      std::cout << "refused " << error.what() << '\n';
    }
  }
}
