"""Write a small VITS with random weights, as Coqui saves one; run by Coqui's own Python: make_vits.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from TTS.tts.configs.shared_configs import CharactersConfig
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.models.vits import Vits, VitsArgs

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
torch.manual_seed(1)
small = VitsArgs(
    hidden_channels=32,
    hidden_channels_ffn_text_encoder=64,
    num_layers_text_encoder=1,
    num_layers_posterior_encoder=1,
    num_layers_flow=1,
    upsample_initial_channel_decoder=64,
    use_sdp=False,
    init_discriminator=False,
    length_scale=6.0,
)
config = VitsConfig(model_args=small, use_phonemes=False, add_blank=True)
config.characters = CharactersConfig(
    characters_class="TTS.tts.utils.text.characters.IPAPhonemes",
    pad="_",
    eos="*",
    bos="^",
    blank="<BLNK>",
    characters="abcdefghijklmnopqrstuvwxyzæçðøŋœɐɑɒɔəɚɛɜɡɪɹɾʃʊʌʒʔˈˌːθᵻ",
    punctuations=",.;:!? ",
    is_unique=True,
    is_sorted=True,
)
model = Vits.init_from_config(config)
config.use_phonemes = True
config.phonemizer = "espeak"
config.phoneme_language = "en-us"
config.save_json(str(folder / "config.json"))
torch.save({"model": model.state_dict()}, folder / "model.pth")
