#include "base/cursor.h"
#include "vault/keyring.h"

enum { VERSION = 1 };
static const struct gh_slice magic = GH_SLICE_INIT("GHKR");

static bool read_kek(struct gh_cursor *at, struct gh_keyring_form_kek *out)
{
    return gh_cursor_u32(at, &out->record.number) && gh_cursor_take16(at, &out->record.text) &&
           gh_cursor_take16(at, &out->record.material) && gh_cursor_take16(at, &out->check) &&
           out->record.text.size <= GH_KEK_TEXT_MAX &&
           out->record.material.size <= GH_KEK_MATERIAL_MAX;
}

static bool read_secret(struct gh_cursor *at, struct gh_keyring_form_secret *out)
{
    return gh_cursor_take16(at, &out->name) && gh_cursor_take32(at, &out->sealed) &&
           out->name.size > 0 && out->name.size <= GH_KEYRING_NAME_BYTES_MAX &&
           out->sealed.size <= GH_KEYRING_SECRET_BYTES_MAX + GH_SEAL_EXTRA_BYTES;
}

bool gh_keyring_form_read(struct gh_slice in, struct gh_keyring_form *out)
{
    struct gh_cursor at = gh_cursor(in);
    struct gh_slice mark;
    uint8_t version, keks;
    uint16_t secrets;
    if (!gh_cursor_take(&at, magic.size, &mark) || !gh_slice_equal(mark, magic) ||
        !gh_cursor_u8(&at, &version) || version != VERSION || !gh_cursor_u8(&at, &keks) ||
        keks == 0 || keks > GH_KEYRING_KEKS_MAX)
        return false;
    *out = (struct gh_keyring_form){.keks_count = keks};
    for (size_t i = 0; i < keks; i++)
        if (!read_kek(&at, &out->keks[i]))
            return false;
    if (!gh_cursor_u16(&at, &secrets) || secrets > GH_KEYRING_SECRETS_MAX)
        return false;
    for (; out->secrets_count < secrets; out->secrets_count++)
        if (!read_secret(&at, &out->secrets[out->secrets_count]))
            return false;
    return gh_cursor_left(&at) == 0;
}

void gh_keyring_form_write(const struct gh_keyring_form *form, struct gh_buffer *out)
{
    gh_buffer_put(out, magic);
    gh_buffer_u8(out, VERSION);
    gh_buffer_u8(out, (uint8_t)form->keks_count);
    for (size_t i = 0; i < form->keks_count; i++) {
        gh_buffer_u32(out, form->keks[i].record.number);
        gh_buffer_put16(out, form->keks[i].record.text);
        gh_buffer_put16(out, form->keks[i].record.material);
        gh_buffer_put16(out, form->keks[i].check);
    }
    gh_buffer_u16(out, (uint16_t)form->secrets_count);
    for (size_t i = 0; i < form->secrets_count; i++) {
        gh_buffer_put16(out, form->secrets[i].name);
        gh_buffer_put32(out, form->secrets[i].sealed);
    }
}
