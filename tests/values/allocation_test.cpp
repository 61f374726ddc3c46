// SPDX-License-Identifier: Apache-2.0

// Writing a value takes no memory but the message's. Counts every allocation of this test program; the
// operators are kept out of line, or gcc sees malloc paired with delete.
#include <cstdlib>
#include <doctest/doctest.h>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <portolan/values.hpp>

#include "memory_message.hpp"

using namespace portolan;

namespace {

std::size_t allocations = 0;

class FixedSink final : public Sink {
 public:
  FixedSink() : Sink(true) {
    begin_ = cursor_ = memory_.data();
    end_ = begin_ + memory_.size();
  }

 private:
  void grow(std::size_t) override { throw std::bad_alloc(); }
  std::uint32_t attach_port(MessagePort&, Ownership) override { return 0; }

  std::array<std::byte, 4096> memory_;
};

struct Record {
  int number = 5;
  double weight = 0.5;
  std::string name = "a name of more than fifteen characters";
  std::vector<float> samples{1, 2, 3};
  std::map<int, std::optional<std::string>> notes{{1, "a note"}, {2, std::nullopt}};

  template <class Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number& weight& name& samples& notes;
  }
};

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

TEST_CASE("writing a value allocates nothing") {
  const std::vector<Record> records(3);
  FixedSink sink;
  const std::size_t before = allocations;
  encode(records, sink);
  CHECK(allocations == before);
  CHECK(sink.written() > 3 * 60);
}

TEST_CASE("writing shared objects takes a table, and a node of it for each object") {
  const auto one = std::make_shared<int>(1), two = std::make_shared<int>(2);
  const std::vector<std::shared_ptr<int>> pointers{one, two, one, nullptr};
  FixedSink sink;
  const std::size_t before = allocations;
  encode(pointers, sink);
  CHECK(allocations - before == 1 + 2);
}
