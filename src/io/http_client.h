/* HTTP client: one blocking call after the other, over libcurl's easy interface. HTTPS with a
 * verified chain and name, always; or plain over a Unix socket, where the file's mode is the
 * protection. Connections are kept alive between calls. Redirects are answers like others: they are
 * not followed. Proxies of the environment are not used. Threads: a client belongs to one at a
 * time; never a loop's. */
#ifndef GH_IO_HTTP_CLIENT_H
#define GH_IO_HTTP_CLIENT_H

#include "base/buffer.h"
#include "base/error.h"

struct gh_http_client;

enum {
    GH_HTTP_CLIENT_CONNECT_MS = 10 * 1000,
    GH_HTTP_CLIENT_CALL_MS = 60 * 1000,
};

/* `ca_pem_path` names the trust anchors; NULL: the system's. */
GH_MUST_USE struct gh_http_client *gh_http_client_open(const char *ca_pem_path,
                                                       struct gh_error *error);
/* Every call goes to this Unix socket; urls are http://localhost/… */
GH_MUST_USE struct gh_http_client *gh_http_client_open_unix(const char *socket_path,
                                                            struct gh_error *error);
/* For what anybody may read and nobody has to trust, such as revocation lists, which are signed
 * themselves: http alone, never to an address of this host or of a private network unless
 * `private_too` (a name that an operator wrote must not make the server ask its neighbours). */
GH_MUST_USE struct gh_http_client *gh_http_client_open_public(bool private_too,
                                                              struct gh_error *error);
void gh_http_client_close(struct gh_http_client *client);
/* For the calls that follow; 0 keeps the default. */
void gh_http_client_set_timeout(struct gh_http_client *client, int connect_ms, int call_ms);

/* `headers` is an array of "name: value" that ends with NULL, or NULL. The answer's body is
 * appended to `answer_body`, whose size_max bounds it. GH_OK and `*status` (the HTTP status,
 * whatever it is) when an answer came; else CONNECT, TIMEOUT, TLS, LIMIT or INVALID, with the words
 * in `error`. */
GH_MUST_USE enum gh_error_code gh_http_client_call(struct gh_http_client *client,
                                                   const char *method, const char *url,
                                                   const char *const *headers, struct gh_slice body,
                                                   struct gh_buffer *answer_body, int *status,
                                                   struct gh_error *error);

/* GET of an answer that goes on and on (server-sent events): `take` is called with each piece of a
 * body with status 2xx and ends the call by saying false; the body of any other answer is appended
 * to `refusal`. There is no time limit but that of connecting. GH_OK when the answer has ended or
 * `take` has ended it. */
GH_MUST_USE enum gh_error_code
gh_http_client_follow(struct gh_http_client *client, const char *url, const char *const *headers,
                      bool (*take)(void *context, struct gh_slice piece), void *context,
                      struct gh_buffer *refusal, int *status, struct gh_error *error);
#endif
