#include "identity/certificate_facts.h"
#include "crypto/certificate.h"

struct gathering {
    struct gh_arena *arena;
    struct gh_attribute *facts;
    size_t count;
};

static bool keep(void *context, const char *name, struct gh_slice value)
{
    struct gathering *gathering = context;
    if (gathering->count == GH_CERTIFICATE_FACTS_MAX)
        return true;
    struct gh_attribute *fact = &gathering->facts[gathering->count++];
    return gh_arena_copy(gathering->arena, gh_slice_text(name), &fact->key) &&
           gh_arena_copy(gathering->arena, value, &fact->value);
}

static bool gather(struct gh_certificate *certificate, struct gh_arena *arena,
                   struct gh_certificate_facts *out)
{
    struct gathering gathering = {.arena = arena};
    *out = (struct gh_certificate_facts){0};
    if (certificate == NULL)
        return false;
    gathering.facts = gh_arena_array(arena, GH_CERTIFICATE_FACTS_MAX, sizeof *gathering.facts);
    bool told = gathering.facts != NULL && gh_certificate_tell(certificate, keep, &gathering);
    gh_certificate_close(certificate);
    if (told)
        *out = (struct gh_certificate_facts){gathering.facts, gathering.count};
    return told;
}

bool gh_certificate_facts_der(struct gh_slice der, struct gh_arena *arena,
                              struct gh_certificate_facts *out)
{
    return gather(gh_certificate_open_der(der, NULL), arena, out);
}

bool gh_certificate_facts_pem(struct gh_slice pem, struct gh_arena *arena,
                              struct gh_certificate_facts *out)
{
    return gather(gh_certificate_open(pem, NULL), arena, out);
}
