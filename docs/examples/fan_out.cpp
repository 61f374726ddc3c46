// SPDX-License-Identifier: Apache-2.0

// One table for many readers: it is filled once, made read-only for good, and every reader is sent a view of
// its part. What travels is a descriptor of the same memory; nobody copies the table, and nobody can change
// it.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <portolan/portolan.hpp>

static void sum_part() {
  portolan::MessagePort parent = portolan::parent_port();
  while (portolan::Received received = parent.receive()) {
    const portolan::BufferView part = received->data<portolan::BufferView>();
    std::uint64_t sum = 0, number = 0;
    for (std::size_t at = 0; at < part.size(); at += sizeof number) {
      std::memcpy(&number, part.bytes().data() + at, sizeof number);
      sum += number;
    }
    parent.post_message(sum);
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && argv[1] == std::string_view("--sum")) return sum_part(), 0;

  constexpr std::uint64_t kNumbers = 1 << 20, kReaders = 4;
  portolan::SharedBuffer table(kNumbers * sizeof(std::uint64_t), {.label = "table"});
  for (std::uint64_t number = 0; number < kNumbers; ++number)
    std::memcpy(table.bytes().data() + number * sizeof number, &number, sizeof number);
  table = std::move(table).read_only();

  std::deque<portolan::Worker> readers;
  const std::size_t part_bytes = table.size() / kReaders;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back("/proc/self/exe", std::vector<std::string>{"--sum"});
    readers.back().post_message(table.view(i * part_bytes, part_bytes));
  }
  std::uint64_t sum = 0;
  for (portolan::Worker& reader : readers) {
    portolan::Received answer = reader.receive();
    if (answer) sum += answer->data<std::uint64_t>();
  }
  std::printf("the numbers below %llu add up to %llu\n", static_cast<unsigned long long>(kNumbers),
              static_cast<unsigned long long>(sum));
  return sum == kNumbers * (kNumbers - 1) / 2 ? 0 : 1;
}
