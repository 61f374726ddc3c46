// SPDX-License-Identifier: Apache-2.0

// Takes the streams of all workers in one loop, reads the pieces in place, and prints each file's size and
// digest.

#include <array>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <list>
#include <map>
#include <memory>
#include <openssl/evp.h>
#include <stdexcept>
#include <string>

#include <portolan/portolan.hpp>

#include "diary.hpp"
#include "roles.hpp"

namespace demo {

namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) throw std::runtime_error("no SHA-256");
  }
  void add(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// One worker's stream, and the file that is coming over it.
struct Stream {
  portolan::MessagePort port;
  Order order;
  std::uint64_t size_bytes = 0;
  std::unique_ptr<Digest> digest;
};

void take(Stream& stream, portolan::MessageEvent& message) {
  switch (message.format()) {
    case portolan::Format::value:
      stream.order = message.data<Order>();
      stream.size_bytes = 0;
      stream.digest = std::make_unique<Digest>();
      break;
    case portolan::Format::bytes:
      stream.digest->add(message.bytes());
      stream.size_bytes += message.bytes().size();
      break;
    default: {
      if (message.data<std::uint64_t>() != stream.size_bytes)
        throw std::runtime_error(stream.order.path + " came cut off");
      const Found found{stream.digest->hex(), stream.size_bytes, stream.order.path};
      fmt::print("{}  {}  {}\n", found.digest, found.size_bytes, found.path);
      std::fflush(stdout);
      stream.order.receipt.post_message(found);
    }
  }
}

}  // namespace

int collect() {
  std::map<std::string, portolan::MessagePort> ports = portolan::inherited_ports();
  Diary diary(std::move(ports.at("log")), "collector");
  std::list<Stream> streams;
  bool began = false;
  for (int i = 1; i <= kWorkers; ++i) {
    Stream& stream = streams.emplace_back();
    stream.port = std::move(ports.at(fmt::format("stream-{}", i)));
    diary.note("got", fmt::format("stream {}, receiving end", i), stream.port);
    stream.port.on_message([&](portolan::MessageEvent& message) {
      if (!std::exchange(began, true)) diary.note("first byte arrives");
      take(stream, message);
    });
  }
  portolan::EventLoop::current().run();  // until both workers have closed their streams
  diary.note("exits");
  return 0;
}

}  // namespace demo
