// SPDX-License-Identifier: Apache-2.0

// The demo's processes. The driver starts the coordinator; the coordinator starts a collector and two
// workers, hands each its ports, and exits; then the driver lets the workers begin, and files stream from
// them to the collector.
//
//   on a start:  an Order for each file, number = that was the last one
//   on a stream: the Order = its file begins, bytes = a piece of it, number = it ends (its size)
//   on an order's receipt: what the collector Found
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <portolan/portolan.hpp>

namespace demo {

inline constexpr int kWorkers = 2;

// Travels from the driver to a worker and on to the collector, and the port in it with it.
struct Order {
  std::string path;
  portolan::MessagePort receipt;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& path& receipt;
  }
};

struct Found {
  std::string digest;
  std::uint64_t size_bytes = 0;
  std::string path;

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& digest& size_bytes& path;
  }
  bool operator==(const Found&) const = default;
};

struct Options {
  std::vector<std::filesystem::path> files;  // empty: documentation and programs of this machine
  std::filesystem::path output = "build/demo";
  bool with_table = true;
};

// Their exit statuses.
int drive(const Options& options);
int coordinate();
int work();
int collect();

}  // namespace demo
