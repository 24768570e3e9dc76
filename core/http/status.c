/* status.c — reason phrases by class and number, so that a lookup is two loads. */
#include "http/status.h"

#define R(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const str informational[] = {R("Continue"), R("Switching Protocols"), R("Processing"),
                                    R("Early Hints")};
static const str successful[] = {
    R("OK"),
    R("Created"),
    R("Accepted"),
    R("Non-Authoritative Information"),
    R("No Content"),
    R("Reset Content"),
    R("Partial Content"),
    R("Multi-Status"),
    R("Already Reported"),
    [26] = R("IM Used"),
};
static const str redirection[] = {
    R("Multiple Choices"),
    R("Moved Permanently"),
    R("Found"),
    R("See Other"),
    R("Not Modified"),
    R("Use Proxy"),
    [7] = R("Temporary Redirect"),
    [8] = R("Permanent Redirect"),
};
static const str client_error[] = {
    R("Bad Request"),
    R("Unauthorized"),
    R("Payment Required"),
    R("Forbidden"),
    R("Not Found"),
    R("Method Not Allowed"),
    R("Not Acceptable"),
    R("Proxy Authentication Required"),
    R("Request Timeout"),
    R("Conflict"),
    R("Gone"),
    R("Length Required"),
    R("Precondition Failed"),
    R("Content Too Large"),
    R("URI Too Long"),
    R("Unsupported Media Type"),
    R("Range Not Satisfiable"),
    R("Expectation Failed"),
    [21] = R("Misdirected Request"),
    [22] = R("Unprocessable Content"),
    [23] = R("Locked"),
    [24] = R("Failed Dependency"),
    [25] = R("Too Early"),
    [26] = R("Upgrade Required"),
    [28] = R("Precondition Required"),
    [29] = R("Too Many Requests"),
    [31] = R("Request Header Fields Too Large"),
    [51] = R("Unavailable For Legal Reasons"),
    [99] = R("Client Closed Request"), /* not registered: what logs call a client that left */
};
static const str server_error[] = {
    R("Internal Server Error"),
    R("Not Implemented"),
    R("Bad Gateway"),
    R("Service Unavailable"),
    R("Gateway Timeout"),
    R("HTTP Version Not Supported"),
    R("Variant Also Negotiates"),
    R("Insufficient Storage"),
    R("Loop Detected"),
    [10] = R("Not Extended"),
    [11] = R("Network Authentication Required"),
};

static const struct {
    const str *v;
    size_t n;
} classes[] = {
    {informational, ARRAY_LEN(informational)}, {successful, ARRAY_LEN(successful)},
    {redirection, ARRAY_LEN(redirection)},     {client_error, ARRAY_LEN(client_error)},
    {server_error, ARRAY_LEN(server_error)},
};

str status_reason(int status)
{
    size_t class = (size_t)(status / 100) - 1;
    size_t at = (size_t)(status % 100);
    if (status < 100 || status > 599 || at >= classes[class].n || !classes[class].v[at].p) {
        return STR_EMPTY;
    }
    return classes[class].v[at];
}

bool status_has_no_body(int status)
{
    return (status >= 100 && status < 200) || status == 204 || status == 304;
}
