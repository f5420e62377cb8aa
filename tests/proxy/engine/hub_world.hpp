// A world with a server that answers on the upstream link of subscriptions, and the frames it sends.
#pragma once

#include <algorithm>

#include "engine_world.hpp"
#include "resp/writer.hpp"

namespace fairlead::engine {

inline std::string bulk(std::string_view text) {
  std::string out;
  resp::append_bulk(out, text);
  return out;
}

inline std::string confirmation(std::string_view word, std::string_view name, int count, char type = '*') {
  return std::string(1, type) + "3\r\n" + bulk(word) + bulk(name) + ":" + std::to_string(count) + "\r\n";
}

inline std::string message(std::string_view channel, std::string_view text, char type = '*') {
  return std::string(1, type) + "3\r\n" + bulk("message") + bulk(channel) + bulk(text);
}

inline std::string pattern_message(std::string_view pattern, std::string_view channel, std::string_view text,
                                   char type = '*') {
  return std::string(1, type) + "4\r\n" + bulk("pmessage") + bulk(pattern) + bulk(channel) + bulk(text);
}

/// A world with a server that answers on the hub's link.
struct HubWorld : ReadyWorld {
  explicit HubWorld(EngineOptions options = {}, Chunking chunking = Chunking::whole)
      : ReadyWorld(options, chunking) {}

  /// The hub's link: the newest one, logged in.
  void open_hub() { hub = log_in(); }

  /// Confirms everything that was asked for on the hub's link, and returns what it was.
  Strings confirm(char type = '>') {
    Strings all = got(hub);
    for (const std::string& command : all) {
      const std::size_t blank = command.find(' ');
      std::string word = command.substr(0, blank);
      std::transform(word.begin(), word.end(), word.begin(),
                     [](char c) { return static_cast<char>(c - 'A' + 'a'); });
      feed(hub, confirmation(word, command.substr(blank + 1), 1, type));
    }
    return all;
  }

  ConnId subscriber(const std::string& command) {
    const ConnId id = client();
    feed(id, command + "\r\n");
    if (!hub.valid()) open_hub();
    confirm();
    take(id);
    return id;
  }

  ConnId resp3_client() {
    const ConnId id = client();
    feed(id, "HELLO 3\r\n");
    take(id);
    return id;
  }

  ConnId hub;
};

}  // namespace fairlead::engine
