// What fairlead says on a fresh backend link before the first command: AUTH, HELLO, SELECT, CLIENT ID and
// ROLE in one packet, and what the answers mean. Pure.
//
// ROLE is asked on every link, although the Monitor has verified the master: between its look and our connect
// another process may have taken the address. A link whose server does not say master never carries a
// command.
//
// CLIENT ID is asked on leased links only: CLIENT UNBLOCK must name the connection whose client is blocked.
#pragma once

#include <cstdint>
#include <string>

#include "health/options.hpp"
#include "resp/reply_scanner.hpp"
#include "resp/types.hpp"

namespace fairlead::engine {

enum class LoginResult : std::uint8_t {
  in_progress,
  ready,
  refused,       // AUTH: wrong password, no such user
  no_protocol,   // HELLO: an old server, or a user who may not say it
  bad_database,  // SELECT: the number is out of range
  busy,          // SELECT: a script runs for too long
  not_master,    // ROLE says something else
  loading,       // not yet
};

enum class LinkUse : std::uint8_t { shared, leased };

class LinkLogin {
 public:
  /// The packet to send first. `first`, when there is one, selects the database before `login` logs in.
  [[nodiscard]] std::string begin(const health::Login& login, const health::Login* first,
                                  resp::Version version, std::uint32_t db, LinkUse use);
  /// One complete reply, as the scanner describes it.
  [[nodiscard]] LoginResult on_reply(const resp::ReplyScanner& reply);
  /// The server's error, when it was one.
  [[nodiscard]] const std::string& error() const { return error_; }
  /// What the server calls this connection; 0 when it was not asked, or did not say.
  [[nodiscard]] std::uint64_t server_client_id() const { return server_client_id_; }

 private:
  enum class Step : std::uint8_t { first_auth, first_select, auth, hello, select, client_id, role };
  Step steps_[7] = {};
  bool selected_ = false;  // by `first`
  std::uint8_t count_ = 0;
  std::uint8_t next_ = 0;
  std::uint64_t server_client_id_ = 0;
  std::string error_;
};

}  // namespace fairlead::engine
