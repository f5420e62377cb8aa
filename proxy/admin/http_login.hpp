// Basic login (RFC 7617) in front of a handler. Pure; lives inside the handler it makes. It never says which
// half of a login was wrong, and compares in a time that tells nothing of the secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/http_types.hpp"

namespace fairlead::proxy {

struct HttpLogin {
  std::string user;      // empty: any user name will do
  std::string password;  // empty: no login is asked for
};

/// Whether these two are the login, whatever the user when it names none.
[[nodiscard]] bool login_is(const HttpLogin& login, std::string_view user, std::string_view password);

/// Whether the value of an Authorization header is this login.
[[nodiscard]] bool login_matches(const HttpLogin& login, std::string_view authorization);

/// The user whom an Authorization header names, whether it is right or not; empty: none.
[[nodiscard]] std::string user_of(std::string_view authorization);

/// Answers 401 instead of calling `next`, but for the paths in `open_paths`, which probes ask without login.
[[nodiscard]] HttpHandler require_login(HttpLogin login, std::vector<std::string> open_paths,
                                        HttpHandler next);

/// RFC 4648, section 4, padding required; nullopt when it is none.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace fairlead::proxy
