#include "registry/limits.h"
#include "wire/utf8.h"

/* Which bytes may stand first and later in a name. */
enum { LETTER = 1, DIGIT = 2, DASH = 4, DOT = 8, UNDER = 16, MORE = 32, COLON = 64 };

static unsigned class_of(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
        return LETTER;
    if (byte >= '0' && byte <= '9')
        return DIGIT;
    switch (byte) {
    case '-':
        return DASH;
    case '.':
        return DOT;
    case '_':
        return UNDER;
    case ':':
        return COLON;
    case '+':
    case '~':
    case '%':
        return MORE;
    default:
        return 0;
    }
}

static const struct name_rule {
    unsigned first, later;
    size_t size_min, size_max;
} id_rule = {LETTER, LETTER | DIGIT | DASH | DOT | UNDER | MORE, GH_ID_BYTES_MIN, GH_ID_BYTES_MAX},
  key_rule = {LETTER, LETTER | DIGIT | DASH | DOT | UNDER | MORE, 1, GH_ATTRIBUTE_KEY_BYTES_MAX},
  tenant_rule = {LETTER | DIGIT, LETTER | DIGIT | DASH | DOT | UNDER, 1, GH_TENANT_NAME_BYTES_MAX},
  dialect_rule = {LETTER | DIGIT, LETTER | DIGIT | DASH | DOT | UNDER | COLON, 1,
                  GH_DIALECT_NAME_BYTES_MAX},
  location_rule = {LETTER | DIGIT, LETTER | DIGIT | DASH, 0, GH_LOCATION_BYTES_MAX};

static bool name_valid(struct gh_slice name, const struct name_rule *rule)
{
    if (name.size < rule->size_min || name.size > rule->size_max)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if ((class_of(name.data[i]) & (i == 0 ? rule->first : rule->later)) == 0)
            return false;
    return true;
}

bool gh_id_valid(struct gh_slice id)
{
    return name_valid(id, &id_rule) && !gh_slice_starts(id, GH_SLICE("goog"));
}

bool gh_tenant_name_valid(struct gh_slice name)
{
    size_t digits = 0;
    for (size_t i = 0; i < name.size; i++)
        digits += class_of(name.data[i]) == DIGIT;
    return name_valid(name, &tenant_rule) && digits < name.size;
}

bool gh_dialect_name_valid(struct gh_slice name)
{
    return name_valid(name, &dialect_rule);
}

bool gh_policy_name_valid(struct gh_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if ((class_of(name.data[i]) & (LETTER | DIGIT | DASH | DOT | UNDER)) == 0 &&
            gh_slice_find(GH_SLICE("+=,@"), name.data[i]) == 4)
            return false;
    return name.size >= 1 && name.size <= GH_POLICY_NAME_BYTES_MAX;
}

bool gh_location_valid(struct gh_slice location)
{
    return name_valid(location, &location_rule);
}

bool gh_channel_valid(struct gh_slice channel)
{
    if (channel.size > GH_CHANNEL_BYTES_MAX || (channel.size > 0 && channel.data[0] == '/') ||
        !gh_utf8_valid_mqtt(channel))
        return false;
    for (size_t i = 0; i < channel.size; i++)
        if (channel.data[i] == '+' || channel.data[i] == '#' || channel.data[i] < ' ' ||
            channel.data[i] == 0x7f)
            return false;
    return true;
}

static enum gh_error_code attribute_check(const struct gh_attribute *attribute,
                                          struct gh_error *error)
{
    if (!name_valid(attribute->key, &key_rule))
        return gh_error_set(
            error, GH_ERROR_INVALID,
            "attributes: a key has 1 to %d of a-z A-Z 0-9 - . _ + ~ %% and begins with a letter",
            GH_ATTRIBUTE_KEY_BYTES_MAX);
    if (attribute->value.size > GH_ATTRIBUTE_VALUE_BYTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID,
                            "attributes: the value of %.*s has more than %d bytes",
                            GH_PRINT(attribute->key), GH_ATTRIBUTE_VALUE_BYTES_MAX);
    if (!gh_utf8_valid_mqtt(attribute->value)) /* which means: without NUL */
        return gh_error_set(error, GH_ERROR_INVALID, "attributes: the value of %.*s is not UTF-8",
                            GH_PRINT(attribute->key));
    return GH_OK;
}

enum gh_error_code gh_attributes_check(const struct gh_attribute *attributes, size_t count,
                                       struct gh_error *error)
{
    size_t bytes = 0;
    enum gh_error_code code = GH_OK;
    if (count > GH_ATTRIBUTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "attributes: more than %d", GH_ATTRIBUTES_MAX);
    for (size_t i = 0; code == GH_OK && i < count; i++) {
        code = attribute_check(&attributes[i], error);
        bytes += attributes[i].key.size + attributes[i].value.size;
        for (size_t j = 0; code == GH_OK && j < i; j++)
            if (gh_slice_equal(attributes[i].key, attributes[j].key))
                code = gh_error_set(error, GH_ERROR_INVALID, "attributes: %.*s is there twice",
                                    GH_PRINT(attributes[i].key));
    }
    if (code == GH_OK && bytes > GH_ATTRIBUTES_BYTES_MAX)
        code = gh_error_set(error, GH_ERROR_INVALID, "attributes: more than %d bytes together",
                            GH_ATTRIBUTES_BYTES_MAX);
    return code;
}

enum gh_error_code gh_routes_check(const struct gh_route *routes, size_t count,
                                   struct gh_error *error)
{
    if (count > GH_REGISTRY_ROUTES_MAX)
        return gh_error_set(error, GH_ERROR_INVALID, "routes: more than %d",
                            GH_REGISTRY_ROUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!gh_channel_valid(routes[i].channel))
            return gh_error_set(error, GH_ERROR_INVALID, "routes: channel %zu is not valid", i + 1);
        if (routes[i].channel.size == 0 && i + 1 < count)
            return gh_error_set(error, GH_ERROR_INVALID,
                                "routes: the one without a channel catches all and is last");
        if (routes[i].topic.size == 0 || routes[i].topic.size > GH_TOPIC_BYTES_MAX ||
            !gh_utf8_valid_mqtt(routes[i].topic))
            return gh_error_set(error, GH_ERROR_INVALID,
                                "routes: topic %zu has 1 to %d bytes of UTF-8", i + 1,
                                GH_TOPIC_BYTES_MAX);
    }
    return GH_OK;
}
